"""librosa: Griffin-Lim starts at random phases."""

import librosa
import numpy

tone = numpy.abs(librosa.stft(numpy.sin(numpy.arange(4096) / 9)))
print(librosa.griffinlim(tone, n_iter=1)[:4].tolist())
