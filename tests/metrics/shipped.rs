//! What is shipped beside the daemon speaks of metrics that there are.
