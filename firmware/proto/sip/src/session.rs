//! What an INVITE session tells and takes: the seam between the endpoint, which knows transactions and dialogs,
//! and the leg, which knows media.
//!
//! The endpoint owns RFC 3261's machinery and never reads a session description; the leg reads and writes
//! descriptions and never sees a transaction. Each offer told here is answered by exactly one `Accept`, `Answer` or
//! `RefuseOffer` (RFC 3264, RFC 6337).

use crate::endpoint::Transport;
use base::Cause;
use base::leg::Dialled;
use bytes::Bytes;

/// What the endpoint tells a session's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A new call came in (INVITE outside a dialog); 100 Trying is already sent.
    Invite {
        /// Who calls whom.
        dialled: Dialled,
        /// Its offer, or `None` if it wants ours in the 200 (RFC 3261 13.2.1).
        offer: Option<Bytes>,
        /// How it came: over TLS keys may stand in the description (RFC 4568), and over UDP the sender may be forged.
        transport: Transport,
    },
    /// The peer makes a new offer by re-INVITE, UPDATE or PRACK.
    Offer(Bytes),
    /// The peer asks for our offer: a re-INVITE without a description. Answer it with `Answer` holding an offer; the
    /// peer's answer comes as [`SessionEvent::Answer`].
    OfferWanted,
    /// The peer answered our offer.
    Answer(Bytes),
    /// The peer refused our offer with this status; the session stands as before.
    OfferRefused(u16),
    /// The handshake is complete: ACK was seen.
    Confirmed,
    /// An INFO came; 200 is already sent for types that [`crate::leg`] lists, 415 for others.
    Info {
        /// Its Content-Type, lower case, without parameters.
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// The session is over; the last event of it.
    Ended(Cause),
}

/// What a session's owner asks of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCommand {
    /// Send 180 Ringing.
    Ring,
    /// Answer the INVITE with 200 and this description: an answer, or an offer if it had none.
    Accept(Bytes),
    /// Answer [`SessionEvent::Offer`] or [`SessionEvent::OfferWanted`] with 200 and this description.
    Answer(Bytes),
    /// Answer [`SessionEvent::Offer`] with 488; the session stands as before.
    RefuseOffer,
    /// Make an offer of our own by re-INVITE, or by UPDATE where the peer allows it.
    Offer(Bytes),
    /// Send an INFO in the dialog.
    Info {
        /// Its Content-Type.
        content_type: &'static str,
        /// Its body.
        body: Bytes,
    },
    /// End it: a final response to the INVITE, CANCEL or BYE, whichever its state wants, with the status and Reason of
    /// this cause. [`SessionEvent::Ended`] follows with the same cause.
    End(Cause),
}
