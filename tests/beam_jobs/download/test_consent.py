import pytest

from beam_jobs.download.consent import find_opt_out


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ([], None),
        ([""], None),
        (["all", "nofollow"], None),
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["nofollow , NOINDEX"], "noindex"),
        (["nofollow", "noimageindex"], "noimageindex"),
        (["none"], "none"),
        (["noarchive, nosnippet, noindexed, no ai"], None),
        (["googlebot: noindex"], None),
        (["googlebot: nofollow, noindex"], None),
        (["googlebot: noindex", "noai"], "noai"),
        (["googlebot: all, tagforest: noai"], "noai"),
        (["TagForest : noindex"], "noindex"),
        (["*: noindex"], "noindex"),
        (["mybot: noai"], "noai"),
        (["max-snippet: 20, noai"], "noai"),
        (["max-image-preview: none"], None),
        (["unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai"], "noai"),
        ([":::,,: noai"], None),
    ],
)
def test_rules_for_all_or_for_us_refuse(headers, rule):
    assert find_opt_out(headers, "MyBot/1.0 (image data set builder)") == rule
