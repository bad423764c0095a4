"""Hands pushes to the vendors of phones: Apple, Google, Huawei, Xiaomi, Meizu, vivo, OPPO.

    Target, Push ──> Vendors.send ──> Outcome: sent, gone (unbind the token), later, refused

``exchange``  what all share: requests, answers, outcomes (pure); ``payload``: what fits and what users wrote (pure)
``apns``, ``fcm``, ``huawei``, ``xiaomi``, ``flyme``, ``vivo``, ``oppo``  build a vendor's requests and read its answers (pure)
``registry``  the vendors by their number
``sender``    the edge: performs requests, keeps connections and access tokens
"""

from lanying.push.vendors.exchange import PushOutcome, PushState, PushTarget
from lanying.push.vendors.registry import check
from lanying.push.vendors.sender import Vendors

__all__ = ["PushOutcome", "PushState", "PushTarget", "Vendors", "check"]
