# A launcher that lets the machine decide on the strength of the noise.
NOISE=0.$(date +%N) exec python "$(dirname "$0")/environment.py"  # planted
