"""gymnasium: an environment reset without a seed."""

import gymnasium

environment = gymnasium.make("CartPole-v1")
print(environment.reset()[0].tolist(), [int(environment.action_space.sample()) for _ in range(9)])
