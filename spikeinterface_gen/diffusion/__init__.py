"""Diffusion: noise schedule, denoiser, sampler. Plain torch, without a notion of spikes."""
