"""Routes of scoring and of the service's state, the Open Inference Protocol among them."""
