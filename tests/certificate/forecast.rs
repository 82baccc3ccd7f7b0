//! What is foretold.
