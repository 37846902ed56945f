"""score.py: its options, the inspection list, the partitioned run, what it prints and what it stores."""
