"""Features of sound, as TensorFlow 1 computes them."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Dim, DType, Value, ceil_div, constant, maximum
from castiron.ops import F

#: What the energy of a band is at least.
FLOOR = 1e-12


@converts("AudioSpectrogram")
def audio_spectrogram(node: SourceNode, x: Value) -> Value:
    """x [samples, channels] as [channels, frames, frequencies]: the magnitudes, or their squares, of the Fourier
    transforms of frames under a periodic Hann window, filled up with zeros to a power of two."""
    size, stride = node.integer("window_size", 0), node.integer("stride", 0)
    if x.type.rank != 2 or size < 2 or stride < 1:
        raise ModelError(f"frames of {size} samples every {stride} of {x.type!r}")
    frames: Dim = maximum(ceil_div(x.type.shape[0] - size + 1, stride), 0)
    starts = F.reshape(F.mul(count_up(frames, DType.I64), stride), shape=(frames, 1))
    place = F.add(starts, constant(np.arange(size)))
    framed = F.transpose(F.gather(x, place, axis=0), perm=(2, 0, 1))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    length = 1 << (size - 1).bit_length()
    re, im = F.rfft(F.mul(framed, constant(window.astype(np.float32))), length=length)
    power = F.add(F.square(re), F.square(im))
    return power if node.flag("magnitude_squared") else F.sqrt(power)


@converts("Mfcc")
def mfcc(node: SourceNode, spectrogram: Value, sample_rate: Value) -> Value:
    """The first coefficients of the cosine transform of the logarithms of the magnitudes in bands that are
    triangles on the mel scale. The spectrogram holds squares."""
    rate = int(node.known(sample_rate, "the sample rate")[()])
    bins, bands = spectrogram.type.shape[-1], node.integer("filterbank_channel_count", 40)
    coefficients = node.integer("dct_coefficient_count", 13)
    if not isinstance(bins, int) or bins < 2 or rate < 1 or not 0 < coefficients <= bands:
        raise ModelError(f"{coefficients} coefficients of {bands} bands of {spectrogram.type!r} at a rate of {rate}")
    weights = _mel_bands(bins, bands, rate, node.number("lower_frequency_limit", 20.0),
                         node.number("upper_frequency_limit", 4000.0))
    energies = F.matmul(F.sqrt(spectrogram), constant(weights.astype(np.float32)))
    cosines = np.sqrt(2 / bands) * np.cos(np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients)))
    return F.matmul(F.log(F.maximum(energies, FLOOR)), constant(cosines.astype(np.float32)))


def _mel_bands(bins: int, bands: int, rate: int, low: float, high: float) -> np.ndarray:
    """The weight [bins, bands] of each frequency in each band: it belongs to the two whose centres are next to it."""
    width = 0.5 * rate / (bins - 1)
    centres = _mel(low) + (_mel(high) - _mel(low)) / (bands + 1) * np.arange(bands + 2)
    weights = np.zeros((bins, bands))
    for i in range(int(1.5 + low / width), min(int(high / width), bins - 1) + 1):
        place = _mel(i * width)
        above = min(int(np.searchsorted(centres, place)), bands + 1)
        share = (centres[above] - place) / (centres[above] - centres[above - 1])
        if above >= 2:
            weights[i, above - 2] = share
        if above <= bands:
            weights[i, above - 1] = 1 - share
    return weights


def _mel(frequency: float) -> float:
    return 1127 * np.log1p(frequency / 700)
