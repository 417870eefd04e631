import cv2
import numpy as np

from tuner.dataset.reading.perceptual import ALIKE, BITS, hash_of, hash_vectors
from tuner.dataset.reading.scan import scan


def scene(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 256, (12, 12, 3), dtype=np.uint8), (200, 160))


def test_another_size_quality_and_light_keep_the_hash_and_another_picture_does_not():
    first = scene(0)
    packed = cv2.imencode(".jpg", cv2.resize(first, (90, 72)), [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    copies = [first, cv2.imdecode(packed, 1), (first * 0.8).astype(np.uint8), first[4:-4, 5:-5].copy()]
    vectors = hash_vectors([hash_of(picture) for picture in (*copies, scene(1))])
    same, small, darker, cropped, other = vectors @ vectors[0]
    assert np.isclose(same, 1, atol=1e-5)
    assert min(small, darker, cropped) > ALIKE
    assert abs(other) < 0.4


def test_a_hash_is_a_text_of_all_its_bits_and_none_is_nothing():
    text = hash_of(scene(2))
    assert len(text) == BITS / 4
    vectors = hash_vectors([text, ""])
    assert (vectors[0] != 0).all()
    assert (vectors[1] == 0).all()


def test_a_scan_keeps_the_hash_of_every_image(two_classes):
    first, again = scan(two_classes), scan(two_classes)
    assert all(len(image.look) == BITS / 4 for image in first.images)
    assert first == again
