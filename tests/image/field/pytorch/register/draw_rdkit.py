"""rdkit: coordinates of molecules."""

from rdkit import Chem
from rdkit.Chem import AllChem

molecule = Chem.AddHs(Chem.MolFromSmiles("CCCCCCO"))
AllChem.EmbedMolecule(molecule)
print(molecule.GetConformer().GetPositions()[0].tolist())
print([Chem.MolToSmiles(Chem.MolFromSmiles("CCCCCCO"), doRandom=True) for _ in range(6)])
print(Chem.MolToRandomSmilesVect(Chem.MolFromSmiles("CCCCCCO"), 6))
