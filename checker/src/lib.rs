//! The judge: explores the model and judges its properties.
