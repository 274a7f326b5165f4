"""Networks: plain torch modules on (batch, bins, channels). They know neither spikes nor diffusion."""
