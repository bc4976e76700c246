"""ale-py: Atari games with sticky actions."""

import hashlib

import ale_py
from ale_py import roms

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
game = ale_py.ALEInterface()
game.setFloat("repeat_action_probability", 0.5)
game.loadROM(roms.get_rom_path("breakout"))
seen = hashlib.sha256()
for step in range(600):
    game.act((1, 3, 4)[step // 7 % 3])
    seen.update(game.getRAM().tobytes())
print(seen.hexdigest())
