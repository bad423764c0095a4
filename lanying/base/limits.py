"""Every limit of the server, with its reason. Units are in the names; sizes are bytes unless they say otherwise.

Over 400 lines: what bounds the server is read, and reviewed, in one place.
"""

from __future__ import annotations

from typing import Final

# --- client wire -----------------------------------------------------------------------------------------------
MAX_MESSAGE_BYTES: Final = 256 * 1024
"""Largest WebSocket message, reassembled. Chat bodies are a few KB; attachments travel as URLs."""
MAX_INFLATED_BYTES: Final = 256 * 1024
"""Largest payload after inflating a compressed frame: same as plain, so compression cannot buy memory."""
READ_BYTES: Final = 8192
"""One ``read`` per ready socket and turn: larger buffers cost 1 to 3 µs more per call (measured)."""
MAX_HTTP_HEAD_BYTES: Final = 16 * 1024
"""Largest HTTP request head the router reads before it answers 431."""

# --- before login (router) -------------------------------------------------------------------------------------
LOGIN_TIMEOUT_S: Final = 10.0
"""From accept to a complete login frame."""
LOGIN_BYTES: Final = 16 * 1024
"""Everything a connection may send between its upgrade and its login: a login is 1 KB, as a JSON array of bytes four times that."""
LOGIN_FRAMES: Final = 6
"""Frames a connection may send up to its login: a refused one may be repeated five times."""
LOGIN_TOKEN_CHARS: Final = 2048
"""Longest token that is looked at; ours have 200 characters."""
LAST_BYTES_S: Final = 60.0
"""A TLS client has so long to take what is left when the process behind has closed: 64 KB and what its socket holds, at 5 KB/s."""
LOGIN_REFUSED_IDLE_S: Final = 30.0
"""A refused login keeps its socket (xsync 5.1): closing at once makes clients loop."""
ARRIVAL_S: Final = 60.0
"""From accept to the end of a connection that has not logged in, whatever it sends."""
PENDING_CONNECTIONS: Final = 4096
"""Connections waiting for their login: ``LOGIN_BYTES`` each at the worst. As many may be sending their request's head.
With more, the peer that has the most gives up its idlest."""
PENDING_CONNECTIONS_PER_PEER: Final = 1024
"""Of these, for one address (IPv6: /64) that is neither this machine's nor a trusted proxy's."""
CONNECTIONS_PER_ADDRESS_PER_S: Final = 200
"""New connections of one address; a school behind one NAT logs in within seconds."""

# --- sessions --------------------------------------------------------------------------------------------------
PING_INTERVAL_MS: Final = 25_000
PING_TIMEOUT_MS: Final = 5_000
"""Sent in the Engine.IO open packet (xsync 3.1)."""
SESSION_IDLE_S: Final = 85.0
"""No byte for pingInterval + 60 s: the peer is gone. Generous, browsers throttle timers of background tabs."""
HEARTBEAT_S: Final = 50.0
"""Clients of the web SDK ask for the unread list this often (xsync 5.2)."""
OUT_SOFT_BYTES: Final = 256 * 1024
"""A session that has not read this much gets no more pushes, and what it asks stays in its socket until it reads again."""
OUT_HARD_BYTES: Final = 1024 * 1024
"""A session that has not read this much is closed."""
SHARE_FRAMES: Final = 16
"""Frames of one user a turn takes; those behind them wait for the next turns, and their session is not read meanwhile. A page that logs in
sends a few at once; 8 KB have room for 600."""
TICK_ASKS: Final = 64
"""Questions (pulls, pages of history, unread lists) of a tick; with more, bursts that wait do so until the next one: 20 ms at 0.3 ms
each."""
SHARE_S: Final = 0.005
"""The same in time, for frames that cost much."""
TURN_S: Final = 0.05
"""A turn that has read for so long leaves the other sockets, and sessions with waiting frames, to the next one; they come first there."""
OUT_USER_BYTES: Final = 4 * 1024 * 1024
OUT_ALL_BYTES: Final = 64 * 1024 * 1024
"""What all sessions of one user, and of a shard, have not read together; with more the fullest is closed."""
LEAVING_S: Final = 10.0
LEAVING: Final = 256
"""Who has left, or was made to, has so long for its last bytes, and so many of a shard have; with more the first goes at once."""
DEVICES_PER_USER: Final = 20
"""Sessions of one user at a time; the oldest idle one is evicted (xsync 9.5)."""
FORMER_NAMES: Final = 5
"""User names one account had before and keeps: nobody else may be taken for it."""
FOLDED_CHARS: Final = 20_000
"""Characters remembered with what they are compared as: those of Chinese, and of whatever else is written; 2 MB."""
DEVICE_RECORDS_PER_USER: Final = 200
"""Remembered devices of one user; the longest unseen is forgotten."""
SENDS_PER_S: Final = 2000
"""Messages one user may send per second, unless configured; and one group may take."""
SEND_BYTES_PER_S: Final = 4 * 1024 * 1024
SEND_BYTES_PER_DAY: Final = 1 << 30
"""Of one user, unless configured: a second full of large messages, and five million short ones on one day."""
GROUP_BYTES_PER_S: Final = 256 * 1024 * 1024
"""Of one group, times its members: what a shard's loop copies into sockets in half a second."""
SHORT_BYTES: Final = 512
"""A message up to here counts as one, whatever the number of its copies."""
USERS_COUNTED: Final = 20_000
"""Users whose budgets are remembered, of each kind; with more the one used longest ago begins anew."""
GROUPS_FOUNDED_PER_DAY: Final = 100
INVITATIONS_PER_DAY: Final = 2000
FRIEND_REQUESTS_PER_DAY: Final = 100
"""Of one user, per shard that is asked. What administrators do in a user's name does not count."""
PROFILES_PER_HOUR: Final = 60
"""Changes of one profile of which friends are notified."""
CHANGES_PER_HOUR: Final = 2000
"""Of groups, and of what one notes about others, by one user: each is a row for members or one's own devices. A remark for each of
two thousand friends at once is fine."""
UNKNOWN_PER_HOUR: Final = 300
"""Users and groups one account may ask for that do not exist, or are private groups of others: ids can be guessed."""
PHONES_PER_DAY: Final = 200
"""Phone numbers one account may look for: an address book."""
PHONE_CLAIMS_PER_DAY: Final = 3
"""Numbers one account may say are its own where no code is sent to them; a taken one counts, too."""
NOTICES_REPLACED: Final = 100_000
"""Notices nobody has seen yet and that a newer one would replace, per shard: some 20 MB. Of users
beyond that the newer one is a row more."""
REQUEST_NOTICE_MS: Final = 86_400_000
"""A user who asks or invites again within a day and has no answer is listed with what they say now, and nobody is notified again."""
REASON_CHARS: Final = 256
"""What is said with a request or an invitation."""
UNREADABLE_FILES: Final = 10_000
"""Uploads remembered that no picture or recording can be made of; with more the one that failed longest ago is tried again."""
GROUP_RATES: Final = 10_000
"""Groups whose rate is counted at a time; with more the one used longest ago begins anew."""
MESSAGE_BYTES: Final = 64 * 1024
"""Largest MessageBody, unless configured: text with its extensions; attachments are URLs."""
TEXT_FILE_BYTES: Final = 16 << 20
"""Longest file a person hands us to read as text; a word list of the most words has 8 MiB at 80 bytes each."""
WORDS: Final = 100_000
"""Words of the filter: about 10 MB per shard."""
CALL_RINGS_MS: Final = 60_000
"""A call that was not ended and is older does not ring any more (xsync 6.7); callers give up by then."""
IN_FLIGHT_RETRY_S: Final = 10.0
"""A push not acknowledged for this long counts as unread again in the heartbeat answer."""

# --- mailboxes and history -------------------------------------------------------------------------------------
BATCH_METAS: Final = 100
"""Entries of one pull answer."""
BATCH_BYTES: Final = 128 * 1024
"""Bytes of one pull answer; a single larger entry still goes alone."""
HISTORY_PAGE: Final = 100
"""Largest history page; clients ask for 20."""
PULL_ENTRIES: Final = 1000
"""Entries one pull looks at: where many are removed, or in a cold store that is not there, the device goes on with the next pull."""
TAIL_METAS: Final = 64
"""Entries kept in memory behind a push in flight; more are read back from the store."""
MARKS_PER_CONVERSATION: Final = 1000
"""Messages of a conversation about which one user has noted something (marked unread, removed from a group's history); with more a
tenth of them, the oldest, goes."""
MARKS_COUNTED: Final = 10_000
"""Conversations whose marks a shard knows the number of."""
UNREAD_CONVERSATIONS: Final = 1000
"""Conversations listed in one unread answer, newest first."""
LOOPS_PER_SESSION: Final = 2 * UNREAD_CONVERSATIONS
"""Pull loops of one session: a client works off its unread list."""
CONVERSATIONS_CACHED: Final = 200_000
"""Conversation heads kept in memory per shard, 200 bytes each."""
GROUPS_CACHED: Final = 20_000
"""Groups per shard whose members there, and whose members' shards, are kept in memory; of others they are read again."""

READ_GROUPS: Final = 20
"""Groups that are asked for a message somebody has read, when the acknowledgement names none: the latest ones."""
READ_CONVERSATIONS: Final = 2000
"""Conversations looked at for that: groups and friends of one user."""
READ_CONVERSATIONS_PER_TOKEN: Final = 25
"""Of these, what costs as much as sending a message (measured: 1,000 take 1 to 2 ms)."""

# --- retention -------------------------------------------------------------------------------------------------
SENT_KEPT_MS: Final = 7 * 86_400_000
"""A repeated send is recognised this long; clients give up within minutes, a phone left in a drawer within days."""
RETENTION_ROWS: Final = 256
"""Rows one retention step reads."""
RETENTION_CONVERSATIONS: Final = 32
"""Queues one retention step looks into: 0.6 ms on a server core when there is nothing to delete, 1 to 3 ms when there is (measured)."""
AGING_ROWS: Final = 256
"""Entries one step moves to the cold store: as many as retention looks at."""
COLD_RETRY_MS: Final = 30_000
"""A cold store that is not there is looked for this often: somebody who has plugged a disk in waits no longer."""
RETENTION_PAUSE_MS: Final = 3_600_000
"""From the end of one pass over everything to the beginning of the next."""

# --- commit ----------------------------------------------------------------------------------------------------
COMMIT_INTERVAL_MS: Final = 1.0
"""Shortest time between two commits under load. A message takes two commits, so this adds 1 ms to it on average. 2 instead of 1 saves
a sixth of the CPU time at 1,000 messages per second and costs 1 to 2 ms at p99 (measured: 381 and 459 µs, 9.2 to 10.2 and 8.1 ms);
saturated they are alike."""
FLUSH_INLINE_S: Final = 0.0015
"""While flushes are quicker than this the loop waits for them itself instead of a thread."""
TICK_BYTES: Final = 4 * 1024 * 1024
"""A tick that gathered this much while the disk flushes stops reading from sockets (backpressure)."""
TICK_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Pulls and history pages answered in one tick; the rest wait for the next, so that a thousand devices that reconnect at once,
or one that asks for everything a thousand times, do not fill the memory."""
LOG_PART_BYTES: Final = 512 * 1024
"""Largest piece of a record in a log elsewhere; more is cut. JetStream takes 1 MiB unless it is configured."""

# --- bus -------------------------------------------------------------------------------------------------------
LINK_BUNDLE_BYTES: Final = 64 * 1024
"""Link messages of one tick for one shard are one numbered bundle, one outbox row, up to this size."""
LINK_WINDOW: Final = 256
"""Bundles sent and not acknowledged on one link; more wait on disk."""
LINK_BLOB_BYTES: Final = 256 * 1024
"""Largest blob of bundles; a larger bundle goes alone."""
LINK_BLOB_BUNDLES: Final = 16
"""Bundles of one blob that are sent again."""
LINK_ACK_S: Final = 0.25
"""What a bundle did waits this long to be synced along with something else, and its acknowledgement for a bundle in the other direction
that can carry it: it only frees outbox rows and the window. So a shard that only receives 20 messages/s syncs for every fifth."""
REPLAY_S: Final = 3.0
"""Behind a start without an orderly end, clients are read when links have caught up, at the latest after this: then messages to the users
of a shard that does not answer are refused."""
LINK_RESEND_S: Final = 1.0
"""No progress for this long: go back to the last acknowledged envelope."""
LINK_RESEND_MAX_S: Final = 8.0
"""The wait doubles up to here while nothing moves: what is sent again to a shard that stalls queues up in ZeroMQ. A shard that
starts again announces it at once."""
BUS_QUEUE: Final = 1000
"""ZeroMQ high-water mark, in blobs, per peer."""
CALLS_PER_SHARD: Final = 500
"""Unanswered calls of one process to one shard: a dead shard costs no more memory than that."""
CALL_TIMEOUT_S: Final = 5.0
"""Deadline of a call without one of its own."""
FIRST_CONTACT_TIMEOUT_S: Final = 5.0
"""A first message to a user on another shard waits this long for that shard's answer."""
PARKED_SENDS: Final = 256
"""Messages of one sender waiting for another shard: so many for a first contact, so many for the answers of groups' shards."""
AWAITED_POSTS: Final = 20_000
"""Posts of all users of a shard that the shards of their groups have not answered. Some 500 bytes each."""
REST_POST_S: Final = 3.0
"""A REST post to a group is answered "unavailable" when the group's shard takes longer. Below ``CALL_TIMEOUT_S`` by more than the
second between two looks, so that the other targets of the same request are answered."""

# --- accounts --------------------------------------------------------------------------------------------------
USERNAME_CHARS: Final = 64
PASSWORD_CHARS: Final = 128
TEXT_FIELD_CHARS: Final = 4096
"""Profile and roster texts."""
NAME_FIELD_CHARS: Final = 256
"""Nicknames, remarks, phone numbers, mail addresses."""
ROSTER_SIZE: Final = 5000
"""Friends of one user."""
APPLICATIONS_PER_USER: Final = 1000
"""Friend requests kept for one user; the oldest handled or expired one makes room."""
APPLICATION_LIFETIME_MS: Final = 7 * 86_400_000
"""A friend request not answered for a week has expired (xsync 9.11)."""
PINNED_CONVERSATIONS: Final = 100
"""Pinned conversations of one user; the one pinned longest ago makes room."""
PUSH_TAGS: Final = 100
PUSH_TAG_CHARS: Final = 64
"""Tags of one user: they are kept in the account's row. A push alias is as long as a tag."""
PUSH_TARGETS: Final = 500
"""Members of a push task's audience: as the REST reference has it."""
ACCOUNTS_SCANNED: Final = 1000
"""Accounts a shard looks at in one go when somebody lists them: a few milliseconds."""
ANONYMOUS_TAIL: Final = 10
"""Random characters behind the prefix of a throw-away user's name."""
CODES_PER_SLOT: Final = 32
"""Short-lived codes of one kind (QR, captcha, SMS) in one hash slot: 32,768 at once, spread by chance."""
CODE_CHARS: Final = 2048
"""Longest secret kept under a code."""
CODE_LIFETIME_MS: Final = 10 * 60_000
"""Longest life of a code, whatever its maker wants."""
TOKEN_LIFETIME_S: Final = 30 * 86_400
DEVICE_GUID_CHARS: Final = 256

# --- groups ----------------------------------------------------------------------------------------------------
GROUP_MEMBERS: Final = 2000
"""Members of one group, unless it was founded with another capacity."""
GROUP_MEMBERS_MAX: Final = 10_000
"""Largest capacity: every join and leave is sent to all members."""
GROUP_ADMINS: Final = 50
"""Besides the owner; each gets every application."""
GROUPS_PER_USER: Final = 1000
"""Groups one user is in: each of their devices keeps a cursor in each."""
GROUPS_UNASKED: Final = 200
"""Groups others put a user in besides; a user in so many is asked from then on."""
GROUP_ANNOUNCEMENTS: Final = 100
"""Announcements of one group; the oldest one makes room."""
GROUP_FILES: Final = 1000
"""Shared-file records of one group."""
GROUP_BLOCKED: Final = 2000
"""Users on one group's block list."""
GROUP_APPLICATIONS: Final = 1000
"""Applications kept for one group; the oldest handled or expired one makes room."""
GROUP_INVITATIONS: Final = 2000
"""Unanswered invitations into one group."""
INVITATIONS_PER_USER: Final = 1000
"""Invitations kept for one user; the oldest one of whoever invited them most makes room."""
INVITATION_LIFETIME_MS: Final = 7 * 86_400_000
"""An application or invitation not answered for a week has expired (xsync 9.11)."""
GROUP_KICKS: Final = 3
GROUP_KICK_WINDOW_MS: Final = 7 * 86_400_000
"""Kicked this often, each time within a week of the last: only an admin's invitation brings the user back before the week is over."""
GROUP_BAN_MINUTES: Final = 10 * 365 * 1440
"""Longest ban with an end; -1 has none."""
GROUP_CODE_LIFETIME_MS: Final = 7 * 86_400_000
"""A QR text into a group is good for a week."""
GROUPS_SCANNED: Final = 1000
"""Groups a shard looks at in one go when somebody lists groups: a few milliseconds."""
GROUPS_LISTED: Final = 2000
"""Public groups in one answer of a shard."""
LIST_ROUNDS: Final = 100
"""Questions to one shard for one list; what is behind them is not in it."""

# --- REST ------------------------------------------------------------------------------------------------------
REST_BODY_BYTES: Final = 1024 * 1024
"""Largest request body: 1,000 ids or a long profile are a few ten KB; files have a path of their own."""
REST_BODY_TIMEOUT_S: Final = 20.0
"""From the head to the end of a body; clients themselves give up after 20 s."""
REST_HEAD_TIMEOUT_S: Final = 10.0
"""From the first byte of a request to the end of its head."""
REST_IDLE_S: Final = 60.0
"""A connection kept alive without a request."""
REST_CONNECTIONS: Final = 4096
"""HTTP connections of the gateway: 10 KB each while they idle. With more, the peer that has the most gives up its idlest."""
REST_CONNECTIONS_PER_PEER: Final = 1024
"""Of these, for one address (a school behind one NAT), unless it is a trusted proxy."""
REST_WAITING_BYTES: Final = 16 * 1024
"""Read behind a request that is not answered yet. No browser sends more, and proxies wait; with more, the answer is the last."""
REST_SPILT_BYTES: Final = 16 * 1024 * 1024
"""Of a body that came when its request was refused already, read and dropped: most clients read the refusal when they have sent all,
and to them a connection that ends before is a fault of the network, to be tried again."""
REST_BODY_MIN_BYTES_PER_S: Final = 2 * 1024
REST_BODY_GRACE_S: Final = 15.0
"""A body may come slowly for so long, and is this fast on average from then on: a tenth of a poor mobile uplink."""
REST_STUCK_S: Final = 30.0
"""A client that takes nothing of its answer for this long is gone, downloads included."""
REST_BODIES_BYTES: Final = 32 * 1024 * 1024
REST_BODIES_BYTES_PER_PEER: Final = 8 * 1024 * 1024
"""Bodies being read or worked on, in all and of one address; more are asked to come back. Files go to the disk and do not count."""
REST_BODY_BYTES_NO_TOKEN: Final = 64 * 1024
"""Largest body of a caller who has not shown a good token: a login or a registration is a few hundred bytes."""
REST_PACKED_BYTES: Final = 2048
"""A shorter answer fits two packets as it is."""
REST_PACKED_ASIDE_BYTES: Final = 64 * 1024
"""A longer one is compressed in a thread: the loop would stand still for milliseconds."""
MAX_JSON_INT: Final = (1 << 53) - 1
"""Largest number a JavaScript client reads exactly (xsync rule 4)."""
REST_IDS: Final = 10_000
"""Ids in one list parameter; the web SDK asks for 1,000."""
REST_ROWS: Final = 500
"""Rows of one batch: each is a call to a shard or two, and new accounts a password hash."""
REST_PAGE: Final = 200
"""Rows of one page of a list that has pages (``/user/list``)."""
REST_AT_ONCE: Final = 20
"""Rows of a batch that are worked on at the same time."""
REST_IDS_PER_CALL: Final = 500
"""Ids asked of a shard in one go: a larger answer would stall its tick for milliseconds."""
FILE_TOKEN_LIFETIME_S: Final = 3600
"""A token in addresses of files. Pages ask for a new one after half of it."""
SMS_TIMEOUT_S: Final = 10.0
"""A sender of SMS takes the code within this time, or the person is asked to try again."""
PASSWORD_THREADS: Final = 2
"""Threads that hash passwords: each takes ``argon2_memory_kib`` while it works."""
NEW_PASSWORD_QUEUE: Final = 50
NEW_PASSWORD_QUEUE_PER_PEER: Final = 40
"""Passwords of new accounts waiting to be hashed, one at a time, so that logins always have a thread; more are refused with 503."""
PASSWORD_QUEUE: Final = 200
PASSWORD_QUEUE_PER_PEER: Final = 100
"""Passwords waiting for a thread, in all and of one address (a class logs in at once); addresses take turns. More are refused with 503."""
PASSWORD_RETRY_S: Final = 5.0
"""How long a refused caller is asked to wait: a full queue takes 3 s on a server core, 10 to 20 on a Pi."""
REQUEST_BURST_S: Final = 10.0
"""So many seconds' worth of requests may come at once: a client that has been away asks for everything."""
GUESS_KEYS: Final = 20_000
"""Names and addresses whose wrong passwords are remembered."""

# --- messages over REST ----------------------------------------------------------------------------------------
MESSAGE_TARGETS: Final = 1000
"""Receivers of one REST call; more are a broadcast or several calls."""
TARGETS_PER_CALL: Final = 50
"""Of these, in one call to the sender's shard: some milliseconds of a turn."""
UNREAD_COUNTED: Final = 200
"""Messages looked at per conversation to count what is unread; clients show 99+."""
UNREAD_LOOKED_AT: Final = 2000
"""Messages looked at for one answer; conversations behind that are counted by what no device has fetched."""
BROADCAST_STEP: Final = 200
"""Accounts one shard looks at per second for a broadcast: a tick of a few milliseconds on a server core."""
BROADCAST_COUNTED: Final = 2000
"""Accounts counted in one go."""
BROADCASTS_KEPT: Final = 50
"""Broadcasts that are over and still listed."""

# --- pushes ----------------------------------------------------------------------------------------------------
PUSHES_OWED: Final = 20_000
"""Pushes a shard owes while the push process or a vendor is away: 8 MB in memory and 1 MB on disk. With more, all but the newest
of each conversation go, and if that is no tenth, the oldest tenth."""
PUSH_AGE_MS: Final = 24 * 3_600_000
"""A push not sent by then is dropped: the message is old, and waits in the recipient's mailbox."""
PUSH_USERS_KNOWN: Final = 200_000
"""Size of the "has a push token" cache, in users per shard; cleared when full."""
PUSHES_TAKEN: Final = 64
"""Pushes a shard hands out at a time."""
PUSHES_AT_ONCE: Final = 64
"""Pushes the push process works on at the same time: each is a question or two to shards and a request to a vendor."""
PUSHES_PER_VENDOR: Final = 32
"""Of these, for one notifier: a slow vendor leaves room for the others."""
PUSHES_WAITING: Final = 100_000
"""Pushes of vendors that do not answer, kept by the push process (30 MB); more stay with the shards."""
PUSH_POLL_S: Final = 5.0
"""Poll interval for shards that have not announced pushes."""
PUSH_RETRY_FIRST_S: Final = 2.0
PUSH_RETRY_MAX_S: Final = 300.0
"""A vendor that does not answer is left alone this long: doubles from try to try."""
PUSH_TASK_STEP: Final = 200
"""Accounts one shard looks at per second for a push to all, as for a broadcast, and only while it owes less than half of what it may."""
PUSH_TASKS_KEPT: Final = 1000
PUSH_TASK_LIFETIME_MS: Final = 7 * 86_400_000
"""Tasks one shard keeps, and how long."""
PUSH_ORDER_CHARS: Final = 8192
"""A task's message as JSON: vendors refuse payloads above 4 KB."""
RECENT_PUSHES: Final = 5000
"""What became of pushes, per shard, for `why`: 1 MB."""

# --- files -----------------------------------------------------------------------------------------------------
FILES_PER_USER: Final = 100_000
"""Records of one user, 200 bytes each."""
FILES_SCANNED: Final = 500
"""Records a shard looks at in one go for the gateway's housekeeping: about a millisecond."""
UPLOADS: Final = 32
"""Uploads at the same time, each with a descriptor and ``UPLOAD_WRITE_BYTES``; more are refused with 503."""
UPLOADS_PER_USER: Final = 6
"""Of these, for one user, so that nobody blocks the others; clients send the pictures of a message at once."""
UPLOADS_PER_PEER: Final = 16
"""Of these, for one address. Who wants a place when there is none gets that of the slowest."""
UPLOAD_JUDGED_S: Final = 10.0
"""An upload that began just now is not called slow."""
UPLOAD_WRITE_BYTES: Final = 256 * 1024
"""Gathered before a thread writes it: fewer hops between threads."""
UPLOAD_FORM_BYTES: Final = 64 * 1024
"""What a form may have besides the file: the boundaries and the fields other clients send."""
UPLOAD_PART_HEADER_BYTES: Final = 8 * 1024
"""Headers of one part of a form."""
UPLOAD_IDLE_S: Final = 30.0
"""Without a byte of an upload for this long it is given up."""
UPLOAD_TIMEOUT_S: Final = 3600.0
"""The whole of an upload."""
TICKET_LIFETIME_S: Final = 3600
"""From the ticket to the begin of the upload."""
FILE_NAME_CHARS: Final = 255
"""Kept of a name a client gives; file systems allow no more either."""
DOWNLOAD_CHUNK_BYTES: Final = 256 * 1024
"""Read by a thread and written to a socket in one go."""
PICTURE_PIXELS: Final = 9_000_000
"""Largest picture that is decoded: a 4K screenshot, 80 MB in the child. JPEGs are decoded at up to an eighth of their width and height.
Of larger ones the original is served."""
DECODER_MB: Final = 256
"""Address space of a child that decodes a picture: 100 MB of it are Python and its libraries."""
FFMPEG_MB: Final = 768
"""Of ffmpeg: 512 were enough for a video of 1920 × 1080."""
CONVERSIONS: Final = 1
CONVERSION_QUEUE: Final = 256
CONVERSION_QUEUE_PER_PEER: Final = 128
"""Pictures and recordings worked on at a time, and requests that wait for that, in all and of one address (a class opens a chat); more are
refused with 503."""
CONVERSION_RETRY_S: Final = 10.0
"""How long a refused caller is asked to wait."""
AVATAR_BYTES: Final = 8 * 1024 * 1024
"""Largest profile picture: everybody who sees the user loads it."""
CONVERT_TIMEOUT_S: Final = 20
"""One picture or recording, in seconds of time and of CPU."""

# --- processes -------------------------------------------------------------------------------------------------
HEARTBEAT_INTERVAL_S: Final = 2.0
HUNG_AFTER_S: Final = 10.0
"""A child silent for this long is killed and started again."""
START_TIMEOUT_S: Final = 60.0
"""A child that has sent no heartbeat since its start; opening a database replays its log, on an SD card that takes a while."""
DRAIN_TIMEOUT_S: Final = 10.0
"""From SIGTERM to SIGKILL, per stage of a drain."""
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
"""Wait before a crashed child is started again: doubles from crash to crash."""
HEALTHY_AFTER_S: Final = 30.0
"""A child that served this long starts again with the first backoff."""
CONTROL_TIMEOUT_S: Final = 5.0
"""How long ``status``, ``stop`` and ``restart`` wait for the supervisor's answer."""
LISTEN_BACKLOG: Final = 4096
"""Connections the kernel keeps while the router is away; capped by net.core.somaxconn."""
RESERVED_DESCRIPTORS: Final = 1024
"""Descriptors a process needs besides client sockets: table files of RocksDB (256), bus, hand-off, logs."""
MAX_SHARDS: Final = 160
"""As many as a message id can name (:data:`lanying.base.ids.SHARDS`)."""

# --- vendors of pushes -------------------------------------------------------------------------------------------
VENDOR_PAYLOAD_BYTES: Final = 4096
"""Largest payload of APNs, FCM and Huawei; the others take at least as much."""
VENDOR_ANSWER_BYTES: Final = 64 * 1024
"""Largest answer of a vendor that is read: they are a few hundred bytes."""
VENDOR_TIMEOUT_S: Final = 15.0
"""For one request with its answer. Vendors answer within a second; abroad, on a mobile uplink, within a few."""
VENDOR_REQUESTS: Final = 32
"""Requests under way to one vendor; the next ones wait. Enough for 100 pushes a second at 300 ms each."""
VENDOR_CONNECTIONS: Final = 8
"""Connections to one vendor that are kept open; over HTTP/2 one carries all requests."""
VENDOR_IDLE_S: Final = 240.0
"""A kept connection nobody used for this long is closed: home routers forget idle ones after five minutes. Apple does not like
a connection per push."""
VENDOR_RETRY_S: Final = 2.0
"""Next attempt when the vendor does not say when; the push process waits longer from try to try (``PUSH_RETRY_MAX_S``)."""
VENDOR_RETRY_MAX_S: Final = 3600.0
"""Longest wait a vendor may ask for."""
VENDOR_LOGIN_AGAIN_S: Final = 60.0
"""A refused login is not tried again earlier: nothing has changed, and vendors count logins."""
VENDOR_ACCESS_MAX_S: Final = 30 * 86_400.0
"""Longest life of an access token that is believed; they live from an hour to a day."""
VENDOR_KEEP_S: Final = 86_400
"""How long vendors keep a push for a device that is off, unless its ``show_end_time`` is earlier."""

# --- client SDK ------------------------------------------------------------------------------------------------
CLIENT_LOGIN_TIMEOUT_S: Final = 15.0
"""From the TCP connection to an answered login; the server itself gives up after ``LOGIN_TIMEOUT_S``."""
CLIENT_PONG_TIMEOUT_S: Final = 20.0
"""Without a byte for a ping interval and this much the connection counts as dead."""
CLIENT_BACKOFF_FIRST_S: Final = 0.25
CLIENT_BACKOFF_MAX_S: Final = 15.0
"""Wait before the next attempt to connect: doubles with each, half of it random, so that a crowd does not come back at once."""
CLIENT_STABLE_S: Final = 5.0
"""A connection that lived this long starts over with the first backoff."""
CLIENT_UNANSWERED: Final = PARKED_SENDS
"""Messages sent and not answered, resent after a reconnect: as many as the server keeps waiting for a first contact."""
CLIENT_EVENTS: Final = 1000
"""Events the application has not taken: with more, the client stops acknowledging and the server stops sending."""
CLIENT_SEEN_IDS: Final = 16_384
"""Received ids remembered to show a repeated delivery once: a killed server may repeat what its last commits covered."""

# --- admin console ---------------------------------------------------------------------------------------------
ADMIN_MESSAGE_BYTES: Final = 256 * 1024
"""Largest question of a console."""
ADMIN_QUEUE: Final = 1000
"""Answers and events kept for a console that does not read; more are dropped."""
ADMIN_ASKS: Final = 16
"""Commands one console may run at once."""
ADMIN_ROWS: Final = 1000
"""Rows of one page."""
ADMIN_DEADLINE_S: Final = 24 * 3600.0
"""Longest a command may take: a backup of a large disk."""
ADMIN_COMMAND_S: Final = 30.0
"""Default deadline of a command: most are one call to a shard."""
ADMIN_LONG_S: Final = 3600.0
"""Deadline of work that reads or writes a whole disk; ``--timeout`` gives more."""
ADMIN_ALIVE_S: Final = 2.0
"""Interval of a console's keep-alive; without three in a row its work is cancelled."""
ADMIN_LAST_WORDS_S: Final = 1.0
"""Time to answer running commands after SIGTERM."""
ADMIN_JOBS: Final = 3
"""Jobs that run at once: each holds a thread of the admin process, which needs some for everything else."""
APPS: Final = 256
"""On one server: each is a key in the memory of every process, and a row of every list."""
AUDIT_CHARS: Final = 500
"""Of a text argument in the audit log; a longer one is cut."""
AUDIT_ITEMS: Final = 50
"""Of a list argument in the audit log."""
RECENT_MESSAGES: Final = 20_000
"""Messages per shard that `why` finds by their id alone: 2 MB."""
RECENT_REMOVED: Final = 5000
"""Recalled and removed messages per shard of which `why` knows when, how and which devices had them: 1 MB."""
WHY_CONVERSATIONS: Final = 500
"""Conversations of a mailbox one question of `why` looks through in a shard: a few milliseconds."""
SLOW_KEPT: Final = 200
SLOW_S: Final = 0.05
"""What takes longer goes to the slow log, because everybody else waits meanwhile: what one client asks at once, a call, link messages, a
login, a timer; and a tick, a flush, a wake-up."""
COSTLY_S: Final = 0.005
"""What takes longer counts for the user whose event it is; a message takes a fiftieth of that on a Raspberry Pi."""
COSTLY_S_PER_MINUTE: Final = 6.0
"""So much of a shard's time one user's costly events may take: a tenth. With more, what they ask and send is refused for a while."""
TRACE_S: Final = 3600.0
"""Longest a trace or a tail lasts without being asked for again."""
WATCHED_USERS: Final = 16
WATCH_S: Final = 3600.0
"""Users with a log level of their own, and for how long: each frame of theirs is a line."""
LOG_LINE_CHARS: Final = 2000
"""Longest log line a console is shown."""

# --- relations -------------------------------------------------------------------------------------------------
# What one limit assumes of another, checked whenever a process starts: a change of one shows which others depend on it.

# A message fits what carries it: a frame with its head, a pull answer, a bundle's blob, a tick.
assert MESSAGE_BYTES + 4096 <= MAX_MESSAGE_BYTES <= MAX_INFLATED_BYTES
assert MESSAGE_BYTES < BATCH_BYTES <= TICK_ANSWER_BYTES
assert LINK_BUNDLE_BYTES <= LINK_BLOB_BYTES <= TICK_BYTES
assert LINK_BLOB_BUNDLES <= LINK_WINDOW
# One pull answer does not make a session congested that has read everything so far, and congestion comes before the end.
assert BATCH_BYTES < OUT_SOFT_BYTES < OUT_HARD_BYTES
# What is pushed from memory fits an answer, and an answer is found within one look.
assert TAIL_METAS <= BATCH_METAS <= PULL_ENTRIES and HISTORY_PAGE <= PULL_ENTRIES
# A login fits what may be sent before it, also as a JSON array of bytes.
assert 4 * (LOGIN_TOKEN_CHARS + DEVICE_GUID_CHARS) < LOGIN_BYTES
# A connection ends in the router some time, and not before it had its chance.
assert LOGIN_TIMEOUT_S <= LOGIN_REFUSED_IDLE_S < ARRIVAL_S
assert PENDING_CONNECTIONS_PER_PEER <= PENDING_CONNECTIONS and REST_CONNECTIONS_PER_PEER <= REST_CONNECTIONS
assert REST_BODY_BYTES_NO_TOKEN <= REST_BODY_BYTES <= REST_BODIES_BYTES_PER_PEER <= REST_BODIES_BYTES
# What is slow is costly.
assert COSTLY_S <= SLOW_S
# A client that keeps to its pings, or asks for the unread list, is never idle.
assert PING_INTERVAL_MS + PING_TIMEOUT_MS < SESSION_IDLE_S * 1000 and HEARTBEAT_S < SESSION_IDLE_S
# An acknowledgement is not awaited longer than it may wait, and waits grow.
assert LINK_ACK_S < LINK_RESEND_S <= LINK_RESEND_MAX_S
assert BACKOFF_FIRST_S <= BACKOFF_MAX_S and CLIENT_BACKOFF_FIRST_S <= CLIENT_BACKOFF_MAX_S
assert PUSH_RETRY_FIRST_S <= PUSH_RETRY_MAX_S <= VENDOR_RETRY_MAX_S
# The server gives a login up before the client does, and says why.
assert LOGIN_TIMEOUT_S < CLIENT_LOGIN_TIMEOUT_S
# A late heartbeat is not a missing one; a start may take longer than a turn of the loop.
assert 2 * HEARTBEAT_INTERVAL_S < HUNG_AFTER_S < START_TIMEOUT_S
# A repetition is recognised while the sender may still send it, and while a push for it may be on its way.
assert SENT_KEPT_MS > PUSH_AGE_MS
# A part is smaller than the whole.
assert PUSHES_PER_VENDOR <= PUSHES_AT_ONCE and PUSHES_PER_VENDOR <= VENDOR_REQUESTS
assert NEW_PASSWORD_QUEUE_PER_PEER <= NEW_PASSWORD_QUEUE and PASSWORD_QUEUE_PER_PEER <= PASSWORD_QUEUE
assert CONVERSION_QUEUE_PER_PEER <= CONVERSION_QUEUE
assert UPLOADS_PER_USER < UPLOADS_PER_PEER < UPLOADS and UPLOAD_IDLE_S < UPLOAD_TIMEOUT_S
assert GROUP_MEMBERS <= GROUP_MEMBERS_MAX and GROUP_ADMINS < GROUP_MEMBERS
assert REST_IDS_PER_CALL <= REST_IDS and REST_PAGE <= REST_ROWS and TARGETS_PER_CALL <= MESSAGE_TARGETS
assert DEVICES_PER_USER <= DEVICE_RECORDS_PER_USER
# A running command outlives three missed keep-alives of its console.
assert 3 * ADMIN_ALIVE_S < ADMIN_COMMAND_S < ADMIN_LONG_S < ADMIN_DEADLINE_S
