//! Every screen of the menu, walked.
