import numpy as np
import pytest

from saljax.data import birdlets, captions
from saljax.data.generated import scenery


@pytest.fixture(scope="module")
def samples():
    return [captions.sample(5, index) for index in range(20)]


def of(drawn, word):
    """Evidence of each time a word occurs."""
    return [e for w, e in zip(drawn.words, drawn.evidence, strict=True) if w == word]


def test_a_caption_says_what_is_in_the_picture(samples):
    for drawn in samples:
        *birds, background = drawn.text.replace(" against", " above").split(" above ")
        assert background == drawn.birds[0].background
        species = [birdlets.SPECIES[b.label].replace("-", " ") for b in drawn.birds]
        if len(drawn.birds) < 3:
            articles = ["an" if "orange" in name else "a" for name in species]
            expected = [f"{a} {name} bird" for a, name in zip(articles, species, strict=True)]
        else:
            number = {3: "three", 4: "four", 5: "five"}[len(drawn.birds)]
            expected = [f"{number} {species[0]} birds"]
        assert birds == expected
        assert all(bird.image is drawn.image for bird in drawn.birds)


def test_every_kind_of_picture_occurs_and_no_other_word(samples):
    assert {min(len(drawn.birds), 3) for drawn in samples} == {1, 2, 3}
    assert {word for drawn in samples for word in drawn.words} < set(captions.VOCABULARY)
    assert max(len(drawn.words) for drawn in samples) == captions.LONGEST


def test_the_upper_bird_comes_first(samples):
    for drawn in samples:
        if len(drawn.birds) == 2:
            (upper, lower), words = drawn.birds, drawn.words
            assert np.nonzero(upper.object_mask)[0].mean() < np.nonzero(lower.object_mask)[0].mean()
            for bird, start in ((upper, 0), (lower, 5)):
                assert "-".join(words[start + 1 : start + 3]) == birdlets.SPECIES[bird.label]
                told = (0, 2) if words[start] == "an" else (1, 2)
                for place in range(3):
                    expected = bird.diagnostic_mask if place in told else None
                    np.testing.assert_array_equal(drawn.evidence[start + place], expected)


def test_the_evidence_is_where_the_word_is_seen(samples):
    for drawn in samples:
        birds = np.any([bird.object_mask for bird in drawn.birds], axis=0)
        parts = np.any([bird.diagnostic_mask for bird in drawn.birds], axis=0)
        np.testing.assert_array_equal(drawn.evidence[-1], ~birds)
        for word in ("above", "three", "four", "five"):
            for evidence in of(drawn, word):
                np.testing.assert_array_equal(evidence, birds)
        if len(drawn.birds) > 2:
            for evidence in drawn.evidence[1:3]:
                np.testing.assert_array_equal(evidence, parts)
        for word in ("a", "bird", "birds", "against"):
            assert all(evidence is None for evidence in of(drawn, word))


def test_a_sample_is_a_function_of_seed_and_index():
    one, again, other = (captions.sample(*at) for at in ((3, 7), (3, 7), (3, 8)))
    np.testing.assert_array_equal(one.image, again.image)
    assert one.text == again.text and np.abs(one.image - other.image).max() > 0.1
    drawn = [birdlets.sample(3, 7).image, birdlets.pair(3, 7).image, birdlets.flock(3, 7).image]
    assert any(np.array_equal(one.image, image) for image in drawn)


def test_words_and_indices():
    text = "a blue tailed bird against bark"
    assert captions.encode(text).dtype == np.int32
    indices = captions.encode(text).tolist()
    assert [captions.VOCABULARY[i] for i in indices] == text.split()
    end = captions.VOCABULARY.index(captions.END)
    assert captions.decode([*indices, end, 3, 4]) == captions.decode(indices) == text
    assert captions.decode([end]) == "" and captions.encode("").shape == (0,)
    assert len(set(captions.VOCABULARY)) == len(captions.VOCABULARY)
    assert set(scenery.BACKGROUNDS) < set(captions.VOCABULARY)
    with pytest.raises(ValueError, match="'ostrich' is not a word of the captions; these are: .*"):
        captions.encode("a red ostrich")
