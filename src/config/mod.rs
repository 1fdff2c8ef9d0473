//! `throughline.yaml`: load, check, explain.
