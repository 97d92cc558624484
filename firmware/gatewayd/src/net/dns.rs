//! Names: what the SIP endpoint asks for by RFC 3263, looked up by hickory.

use hickory_resolver::TokioResolver;
use sip::endpoint::{Target, Transport};
use sip::locate::Locator;
use sip::uri::Uri;
