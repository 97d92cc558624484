//! media-dsp
