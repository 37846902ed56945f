"""Training report, model card and scoring report as HTML and Markdown."""

from fairmeter.reports.scoring_report import write_scoring_report

# write_training_report is imported from its module: it loads Plotly, which a scoring report does not need.
__all__ = ["write_scoring_report"]
