"""Minimal Flask app that parses a client sent as JSON: the baseline for the service's response times."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/predict")
def predict():
    return {"hello": len(request.get_json()["invoices"])}


@app.get("/ready")
def ready():
    return {"status": "ready"}
