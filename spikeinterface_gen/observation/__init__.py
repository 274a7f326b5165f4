"""From rates to counts (the likelihoods, on torch) and from counts to spike times (numpy alone).

Nothing is imported here, so that placing spikes does not cost the import of torch.
"""
