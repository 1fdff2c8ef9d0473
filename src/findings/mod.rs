//! Findings as people and programs see them: sentences, JSON, grouping, baselines.
