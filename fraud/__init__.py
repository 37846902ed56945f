"""Fairmeter's rooms. Data flows one way; root files import `fraud`, `fraud` imports no root file.

science   tables -> segments -> peers, detectors, trees -> ensemble -> evaluation -> report
desk      web (the HTTP service)
nouns     records

The wings never import each other; they meet in the entry files through `records.Score`.
"""
