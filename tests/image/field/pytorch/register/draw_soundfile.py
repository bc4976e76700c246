"""soundfile: an Ogg file has a serial number, drawn by libsndfile."""

import hashlib
import io

import numpy
import soundfile

for kind, subtype in (("OGG", "VORBIS"), ("FLAC", "PCM_16"), ("WAV", "FLOAT")):
    file = io.BytesIO()
    soundfile.write(file, numpy.sin(numpy.arange(8000) / 9), 8000, format=kind, subtype=subtype)
    print(
        kind,
        hashlib.sha256(file.getvalue()).hexdigest()[:16],
        hashlib.sha256(soundfile.read(io.BytesIO(file.getvalue()))[0].tobytes()).hexdigest()[:16],
    )
