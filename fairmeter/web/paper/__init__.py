"""Files for spreadsheets and for print, made in a process of its own: maker.py, which papers.py above starts."""
