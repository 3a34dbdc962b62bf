//! What the whole-pipeline tests share.
