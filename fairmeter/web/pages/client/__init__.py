"""The client's page: its view, its charts, its surroundings and the PDF for the crew."""
