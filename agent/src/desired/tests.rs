//! Settings from the API to the node, against a real record.
