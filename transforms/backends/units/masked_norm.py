"""The group norm of HuBERT's first convolution over the frames of each utterance alone."""

import torch
from torch import Tensor, nn


class MaskedChannelNorm(nn.Module):
    """A GroupNorm with one channel a group, whose sums leave padding out.

    ``lengths`` [B] are the frames of each utterance at this layer; set them before each call.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        if norm.num_groups != norm.num_channels:
            raise ValueError(f"{norm.num_groups} groups of {norm.num_channels} channels")
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.lengths: Tensor | None = None

    def forward(self, hidden_BCT: Tensor) -> Tensor:
        """[B, C, T] normalized over T, as far as each utterance goes."""
        assert self.lengths is not None
        frames_T = torch.arange(hidden_BCT.shape[2], device=hidden_BCT.device)
        real_B1T = (frames_T < self.lengths[:, None])[:, None].float()
        count_B11 = self.lengths[:, None, None].float()
        wide_BCT = hidden_BCT.float()
        mean_BC1 = (wide_BCT * real_B1T).sum(2, keepdim=True) / count_B11
        gaps_BCT = (wide_BCT - mean_BC1) * real_B1T
        variance_BC1 = (gaps_BCT**2).sum(2, keepdim=True) / count_B11
        scaled_BCT = gaps_BCT * torch.rsqrt(variance_BC1 + self.eps)
        out_BCT = scaled_BCT * self.weight[:, None] + self.bias[:, None]
        return out_BCT.to(hidden_BCT.dtype)
