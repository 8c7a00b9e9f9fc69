// What is set here stays here: no answer of a slow server can undo it.
const choice = (window.tagforestChoice ??= Vue.reactive({
  calibrated: true,
  threshold: 0.5,
}));

export default {
  props: { calibratable: Boolean, preset: Number },
  data: () => ({
    choice,
    modes: [
      { label: "Calibrated", value: true },
      { label: "One for all", value: false },
    ],
  }),
  watch: {
    preset: {
      immediate: true,
      handler(preset) {
        if (preset != null) this.slide(preset);
      },
    },
  },
  methods: {
    slide(threshold) {
      choice.threshold = threshold;
      document.body.style.setProperty("--threshold", threshold);
      this.mode(false);
    },
    mode(calibrated) {
      choice.calibrated = calibrated;
      document.body.classList.toggle("tf-one", !calibrated);
    },
  },
  template: `
    <div class="tf-group" role="group" aria-label="Threshold">
      <span class="tf-label">Threshold</span>
      <q-btn-toggle v-if="calibratable" :model-value="choice.calibrated"
        :options="modes" dense no-caps unelevated padding="4px 10px"
        toggle-color="primary" @update:model-value="mode" />
      <span class="tf-group" :class="{'tf-idle': choice.calibrated}"
        :title="choice.calibrated
          ? 'Every class has its own threshold now; moving this sets one for all'
          : 'From this score on a class is shown'">
        <input class="tf-slider" type="range" min="0" max="1" step="0.01"
          aria-label="Threshold for all classes" :value="choice.threshold"
          @input="slide(Number($event.target.value))">
        <output class="tf-value">{{
          choice.calibrated ? "own" : choice.threshold.toFixed(2) }}</output>
      </span>
    </div>`,
};
