"""A small transformer and what it is fed; only imported where there is torch."""

from typing import Any

import torch
from torch import nn

WIDTH = 32


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.forward_part = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, values: Any) -> Any:
        seen, _ = self.attention(values, values, values, need_weights=False)
        return self.norm(values + self.forward_part(seen))


MODEL = Block()


def careless(values: Any) -> Any:
    """Gradients on, training mode, and a value asked for in the middle."""
    answer = MODEL(values)
    answer.sum().item()
    return answer


def careful(values: Any) -> Any:
    MODEL.eval()
    with torch.inference_mode():
        return MODEL(values)


def hungry(values: Any) -> int:
    """Take about 8 MiB per item and touch all of it."""
    held = torch.ones(values.shape[0], 2 * 1024 * 1024)
    return int(held[0, 0])


def sample() -> Any:
    torch.manual_seed(1)
    return torch.randn(2, 16, WIDTH)


def sized(batch: int = 1) -> Any:
    return torch.zeros(batch, 4)


def broken(_values: Any) -> Any:
    message = "this model never works"
    raise ValueError(message)
