"""Gymnasium: a policy for CartPole learnt by REINFORCE."""

import gymnasium
import record
import torch
from torch import nn
from torch.distributions import Categorical


def play(environment: gymnasium.Env, policy: nn.Module) -> torch.Tensor:
    """One episode; returns the loss that makes its better actions likelier."""
    observation, _ = environment.reset()
    chosen, rewards, ended = [], [], False
    while not ended:
        actions = Categorical(logits=policy(torch.from_numpy(observation)))
        action = actions.sample()
        observation, reward, terminated, truncated, _ = environment.step(action.item())
        chosen.append(actions.log_prob(action))
        rewards.append(float(reward))
        ended = terminated or truncated
    returns = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
    return -(torch.stack(chosen) * (returns - returns.mean())).sum()


if __name__ == "__main__":
    environment = gymnasium.make("CartPole-v1")
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        play(environment, policy).backward()
        optimizer.step()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in policy.state_dict().values()))
