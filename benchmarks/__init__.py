"""Speed side by side with peers: ratios taken in one run, because machines are shared and noisy."""
