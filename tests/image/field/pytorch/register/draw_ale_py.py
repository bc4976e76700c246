"""ale-py: Atari games with sticky actions."""

import hashlib

import ale_py
from ale_py import roms

game = ale_py.ALEInterface()
ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
game.setFloat("repeat_action_probability", 0.5)
game.loadROM(roms.get_rom_path("breakout"))
for step in range(300):
    game.act(step // 7 % 4)
print(hashlib.sha256(game.getScreenRGB().tobytes() + game.getRAM().tobytes()).hexdigest())
