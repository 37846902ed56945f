"""Rules on readings: how long each lasts, which ones cannot be, and what is the data's fault at many clients."""
