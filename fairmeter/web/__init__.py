"""The HTTP service: bodies -> rows -> scores -> answers. It knows scores, not models; predict.py hands it a scorer."""
