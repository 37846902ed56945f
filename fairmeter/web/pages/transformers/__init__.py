"""The pages of transformers: all of them, and each with its clients."""
