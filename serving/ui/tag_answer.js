// Texts go in as text, never as HTML: Vue sees to it.
const choice = (window.tagforestChoice ??= Vue.reactive({
  calibrated: true,
  threshold: 0.5,
}));
const BEST = 5;

function holds([calibrated, over, to]) {
  if (choice.calibrated) return calibrated;
  return over < choice.threshold && choice.threshold <= to;
}
const held = (pairs) => pairs.filter((p) => holds(p[1])).map((p) => p[0]);

export default {
  props: { answer: Object, command: String, commandName: String },
  data: () => ({ closed: new Set(), said: "" }),
  computed: {
    // Thousands of rows: without Vue's proxies around each.
    plain() {
      return Vue.toRaw(this.answer);
    },
    // Of boxes and masks; a box has no threshold of its own.
    panels() {
      const least = choice.calibrated ? this.plain.first : choice.threshold;
      return this.plain.panels?.map((panel) => {
        const shown = panel.entries.filter((e) => !panel.boxes || e.value >= least);
        const count = shown.length;
        const boxes = panel.boxes && count;
        const said = boxes ? count + (count > 1 ? " boxes" : " box") : panel.said;
        return { ...panel, shown, said };
      });
    },
    tags() {
      if (this.panels) {
        const shown = this.panels.flatMap((p) => p.shown.filter((e) => e.wnid));
        return [...new Set(shown.map((entry) => entry.name))];
      }
      return held(this.plain.tags);
    },
    best() {
      return this.panels ? [] : held(this.plain.best).slice(0, BEST);
    },
    lines() {
      const lines = [];
      for (const row of this.plain.rows) {
        const parent = lines[row.parent];
        const there = holds(row.shown);
        if (there && parent) parent.below = true;
        lines.push({
          row,
          there,
          below: false,
          folded: !!parent && (parent.folded || this.closed.has(parent.row.id)),
          above: !holds(row.tag),
          mark: held(row.marks)[0],
          tags: row.cells.map((cell) => holds(cell.tag)),
        });
      }
      return lines;
    },
    summary() {
      if (this.panels) {
        return [...new Set(this.panels.map((p) => p.said))].join("; ");
      }
      const count = this.tags.length;
      if (!count) return this.plain.nothing;
      const parts = [count + (count > 1 ? " tags" : " tag")];
      if (this.plain.columns.length > 1) {
        const differ = this.lines.filter((l) => l.there && l.mark).length;
        parts.push(`${differ || "no"} difference${differ == 1 ? "" : "s"}`);
      }
      const left = this.plain.left_out.filter(holds).length;
      const rest = left ? [`the ${left} that score least are left out`] : [];
      return [parts.join(", "), ...rest, ...held(this.plain.limits).slice(0, 1)].join("; ");
    },
  },
  methods: {
    // The best ones last, over the others.
    placed: (panel) => panel.shown.filter((entry) => entry.place).reverse(),
    at: ([left, top, width, height]) => ({
      left: left + "%", top: top + "%", width: width + "%", height: height + "%",
    }),
    fold(id) {
      this.closed.delete(id) || this.closed.add(id);
    },
    copy(text, what) {
      Quasar.copyToClipboard(text).then(
        () => (this.said = `${what} copied`),
        () => (this.said = "The browser does not let this page copy"),
      );
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.said = ""), 4000);
    },
  },
  template: `
    <div v-if="answer" class="tf-answer">
      <div class="tf-brief">
        <div class="tf-best" v-if="best.length">
          <span v-for="name in best" :key="name">{{name}}</span>
        </div>
        <div class="tf-note" role="status">{{summary}}</div>
        <div class="tf-actions">
          <q-btn flat dense no-caps label="Copy tags" :disable="!tags.length"
            @click="copy(tags.join(', '), 'Tags')" />
          <q-btn flat dense no-caps :label="'Copy ' + commandName"
            @click="copy(command, 'Command')" />
          <span class="tf-said" role="status">{{said}}</span>
        </div>
      </div>
      <div class="tf-panels" v-if="panels">
        <figure v-for="panel in panels" class="tf-panel">
          <div class="tf-label" v-if="panel.title">{{panel.title}}</div>
          <div class="tf-scene" v-if="plain.wide" :style="{'--wide': plain.wide}">
            <img class="tf-mask" v-if="panel.mask" :src="panel.mask" alt="">
            <div v-for="entry in placed(panel)" class="tf-box"
              :style="{...at(entry.place), '--colour': entry.colour}">
              <div>{{entry.name}} {{entry.value.toFixed(2)}}</div>
            </div>
          </div>
          <div v-for="entry in panel.shown" class="tf-entry">
            <span class="tf-swatch" :style="{'--colour': entry.colour}"></span>
            <div class="tf-name">{{entry.name}}</div>
            <div class="tf-id">{{entry.wnid}}</div>
            <span class="tf-track">
              <span class="tf-fill" :style="{
                width: 100 * entry.value + '%', background: entry.colour}"></span>
            </span>
            <div class="tf-number">{{entry.value.toFixed(2)}}</div>
          </div>
        </figure>
      </div>
      <div class="tf-tags" v-else v-show="tags.length">
        <div class="tf-columns" aria-hidden="true">
          <div>Tag</div>
          <div v-for="text in plain.columns" :title="text">{{text}}</div>
        </div>
        <ul class="tf-rows">
          <li v-for="line in lines" v-show="line.there && !line.folded"
            :key="line.row.id" class="tf-row" :aria-level="line.row.depth + 1"
            :class="{'tf-leaf': line.row.leaf, 'tf-above': line.above}"
            :style="{'--depth': line.row.depth}">
            <button v-if="line.below" class="tf-fold" type="button"
              :aria-expanded="!closed.has(line.row.id)"
              :aria-label="'Below ' + line.row.name"
              @click="fold(line.row.id)"></button>
            <span class="tf-what">
              <span class="tf-name" :title="line.row.title">{{line.row.name}}</span>
              <span class="tf-mark" v-if="line.mark">{{line.mark}}</span>
              <span class="tf-id">{{line.row.id}}</span>
            </span>
            <span v-for="(cell, number) in line.row.cells" class="tf-cell"
              role="img" :class="{tag: line.tags[number], second: number == 1}"
              :aria-label="cell.column + ': ' + cell.text +
                (line.tags[number] ? ', a tag' : ', not a tag')">
              <span class="tf-track">
                <span class="tf-fill" :style="{width: cell.width + '%'}"></span>
              </span>
              <span class="tf-number">{{cell.text}}</span>
            </span>
          </li>
        </ul>
      </div>
    </div>`,
};
