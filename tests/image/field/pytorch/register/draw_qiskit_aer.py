"""qiskit-aer: measured shots."""

from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

circuit = QuantumCircuit(3)
circuit.h([0, 1, 2])
circuit.measure_all()
print(sorted(AerSimulator().run(circuit, shots=200).result().get_counts().items()))
