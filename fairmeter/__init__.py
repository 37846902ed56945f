"""The floor plan: one line a floor, the highest first. Rooms of the science wing, then of the desk wing.

    entry     train predict score desk desk_science desk_demo desk_weeks scoring large visit_training reading_training
    pages     report report_page report_readings report_visits report_cells model_card run_report figures | web notify
    findings  visit_study validation reading_validation simulate manifest |
    plans     planning recovery listing ranking routes visits visit_sheets likeness |
    reasons   explaining explain reasons sentences account_sentences reading_sentences told aspects meanings |
    models    study fitting visit_labels reading_fitting baselines model_file model reading_model ensemble | store
    parts     timeline along readings networks ranks features members detectors neighbours peers | alerts cases outcomes
    utility   attacks demo metering thieves population household weather grid billing |
    shapes    reading_balance reading_rows reading_changes reading_hours reading_parts reading_shapes |
    columns   facts balance blocks cells configuration consumption courses explanations | bands index_check clusters
    meters    accounts almanac billed courses days surroundings windows change_points reading_tables reading_cleaning |
    rows      invoices tables transformer_tables visited cleaning dates parts spill spark featured sheets values files |
    graphs    onnx_graphs network_graphs dense symmetric_trees drift weighing arguments theft harmless patterns |
    ground    lots memory words records segments metrics evaluation reading_evaluation promise stability

A room imports rooms of its own floor and of those below, in no circle. Those of the entry floor and features are files
beside this package: they import it, it imports none of them. The wings never import each other;
they share the ground floor, and meet in the entry files through `records.Score`. tests/test_layout.py holds all this.
"""
