"""Phone numbers: codes by SMS behind a picture captcha, binding and changing a number, logging in with one.

Everything that sends or checks a code answers 404 without an SMS provider (``[sms]``). A number belongs to one account of
an app: it is a name that leads to it, like a user name.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import GetCredentials, SetPassword, UpdateAccount
from lanying.bus.shards import accounts, ask
from lanying.gateway.accounts import code_book, handles
from lanying.gateway.accounts.sign_in import check_password
from lanying.gateway.accounts.sms import SmsProvider
from lanying.gateway.accounts.users import me
from lanying.gateway.http.auth import authenticate
from lanying.gateway.http.endpoint import GET, POST, UPDATE, Endpoint, Raw, Visit

_CAPTCHA: Final = "ABCDEFGHJKLMNPRSTUVWXY3456789"
_CAPTCHA_CHARS: Final = 4
_CAPTCHA_LIFETIME_MS: Final = 5 * 60_000
_SMS_DIGITS: Final = 6
_SMS_LIFETIME_MS: Final = 10 * 60_000
_SMS_ATTEMPTS: Final = 5
_NOT_OFFERED: Final = "this server sends no SMS: feature not supported"


async def new_captcha(visit: Visit) -> object:
    """The id of a new picture."""
    if not visit.services.code_requests.take(visit.peer, visit.services.now()):
        raise CallError(Refusal.TOO_MANY_FAILURES)
    text = "".join(secrets.choice(_CAPTCHA) for _ in range(_CAPTCHA_CHARS))
    return await code_book.keep(visit, code_book.CAPTCHA, text, _CAPTCHA_LIFETIME_MS)


async def captcha_picture(visit: Visit) -> object:
    """The picture, drawn anew each time. :raises CallError: 11014 there is none"""
    if not visit.services.code_requests.take(visit.peer, visit.services.now()):
        raise CallError(Refusal.TOO_MANY_FAILURES)
    text = await code_book.read(visit, code_book.CAPTCHA, visit.params.text("image_id"))
    if text is None:
        raise CallError(Refusal.WRONG_CAPTCHA, "this picture has expired, ask for a new one")
    return Raw(await asyncio.to_thread(_draw, text), "image/png")


async def send_code_after_captcha(visit: Visit) -> object:
    """Send an SMS code to who reads the picture."""
    provider = _provider(visit)
    image, answer, mobile = visit.params.text("image_id"), visit.params.text("captcha"), _mobile(visit)
    if not await code_book.check(visit, code_book.CAPTCHA, image, answer.strip().upper()):
        raise CallError(Refusal.WRONG_CAPTCHA)
    return await _send(visit, provider, mobile)


async def send_code(visit: Visit) -> object:
    """Send an SMS code; native apps have no picture, so an address gets few."""
    return await _send(visit, _provider(visit), _mobile(visit))


async def log_in(visit: Visit) -> object:
    """With an SMS code: name and one-time password of the number's account, or a proof to bind the number with."""
    _provider(visit)
    mobile = await _confirmed(visit)
    uid = await handles.find(visit, handles.TEL + mobile)
    if not uid:
        return {"sign": await _proof(visit, mobile)}
    info = (await accounts(visit.shards, visit.app.app_id, [uid]))[uid]
    return {"username": info.username, "password": await code_book.one_time_password(visit, uid)}


async def bind(visit: Visit) -> object:
    """Bind a number to the caller with an SMS code."""
    _provider(visit)
    return await bind_phone(visit, await _confirmed(visit))


async def bind_with_proof(visit: Visit) -> object:
    """Bind a number with the proof of :func:`log_in`, which needs the caller's token all the same."""
    _provider(visit)
    mobile, proof = _mobile(visit), visit.params.text("sign")
    await authenticate(visit)
    if not await code_book.check(visit, code_book.PROOF, proof, mobile):
        raise CallError(Refusal.WRONG_CODE, "sign is no proof for this number, or it was used or has expired")
    return await bind_phone(visit, mobile)


async def prove_by_password(visit: Visit) -> object:
    """A proof that the caller knows their password."""
    await check_password(visit, visit.uid, visit.params.text("password"))
    return {"sign": await _proof(visit, str(visit.uid))}


async def prove_by_phone(visit: Visit) -> object:
    """A proof that the caller has the phone that is bound."""
    _provider(visit)
    mobile = await _confirmed(visit)
    if (await me(visit)).mobile != mobile:
        raise CallError(Refusal.PERMISSION_DENIED, "this is not the number of this account")
    return {"sign": await _proof(visit, str(visit.uid))}


async def change(visit: Visit) -> object:
    """Bind another number, with a proof of who is asking and a code sent to the new one."""
    _provider(visit)
    proof = visit.params.text("sign")
    mobile = await _confirmed(visit)
    await _need_proof(visit, proof)
    return await bind_phone(visit, mobile)


async def update(visit: Visit) -> object:
    """Set the number without a code: for admins, and for users where no SMS are sent."""
    mobile = _mobile(visit)
    if visit.services.sms is not None and not visit.admin:
        raise CallError(Refusal.PERMISSION_DENIED, "bind a number with the code sent to it (/app/user/mobile_bind)")
    return await bind_phone(visit, mobile)


async def change_password(visit: Visit) -> object:
    """Set the password with a proof of who is asking; tokens and sessions end."""
    params, services = visit.params, visit.services
    new, again, proof = params.text("new_password"), params.text("new_password_check"), params.text("sign")
    if new != again:
        raise CallError(Refusal.INVALID_PARAMETER, "new_password and new_password_check differ")
    services.passwords.check_new(new)
    await _need_proof(visit, proof)
    found = await ask(visit.shards, visit.uid, GetCredentials(visit.app.app_id, visit.uid))
    request = SetPassword(visit.uid, await services.passwords.hash(new), found.password_hash, revoke=True)
    return await ask(visit.shards, visit.uid, request)


async def verification(visit: Visit) -> object:
    """Whoever has bound a phone is verified (1)."""
    if visit.services.sms is None:
        raise CallError(Refusal.NOT_OFFERED, "this server does not offer identity verification")
    mobile = (await me(visit)).mobile
    return {"status": int(bool(mobile)), "mobile": mobile}


async def bind_phone(visit: Visit, mobile: str) -> bool:
    """Give the caller this number, empty for none. :raises CallError: 11012 it is somebody else's"""
    before = (await me(visit)).mobile
    if mobile:
        await handles.claim(visit, handles.TEL + mobile, visit.uid, Refusal.PHONE_TAKEN)
    await ask(visit.shards, visit.uid, UpdateAccount(visit.uid, {"mobile": mobile}))
    if before and before != mobile:
        await handles.release(visit, handles.TEL + before, visit.uid)
    return True


def _mobile(visit: Visit) -> str:
    found = visit.params.text("mobile", most=limits.NAME_FIELD_CHARS).replace(" ", "")
    if not handles.is_mobile(found):
        raise CallError(Refusal.INVALID_PARAMETER, "mobile is a phone number: +country code and number, or 11 digits")
    return found


def _provider(visit: Visit) -> SmsProvider:
    if visit.services.sms is None:
        raise CallError(Refusal.NOT_OFFERED, _NOT_OFFERED)
    return visit.services.sms


async def _send(visit: Visit, provider: SmsProvider, mobile: str) -> bool:
    services = visit.services
    for requests, key in ((services.sms_requests, mobile), (services.code_requests, visit.peer)):
        if not requests.take((visit.app.app_id, key), services.now()):
            raise CallError(Refusal.TOO_MANY_FAILURES)
    code = "".join(secrets.choice("0123456789") for _ in range(_SMS_DIGITS))
    await code_book.keep(visit, code_book.SMS, code, _SMS_LIFETIME_MS, mobile, attempts=_SMS_ATTEMPTS)
    await provider.send(mobile, code)
    return True


async def _confirmed(visit: Visit) -> str:
    """The number whose SMS code the caller knows. :raises CallError: 10001"""
    code, mobile = visit.params.text("captcha"), _mobile(visit)
    if not await code_book.check(visit, code_book.SMS, mobile, code.strip()):
        raise CallError(Refusal.WRONG_CODE)
    return mobile


async def _proof(visit: Visit, of: str) -> str:
    return await code_book.keep(visit, code_book.PROOF, of, code_book.PROOF_LIFETIME_MS)


async def _need_proof(visit: Visit, proof: str) -> None:
    if not await code_book.check(visit, code_book.PROOF, proof, str(visit.uid)):
        raise CallError(Refusal.WRONG_CODE, "sign is no proof of this user, or it was used or has expired")


def _draw(text: str) -> bytes:
    from captcha.image import ImageCaptcha  # with Pillow and a font: megabytes that few gateways need

    return bytes(ImageCaptcha().generate(text, format="png").getvalue())


ENDPOINTS: Final = (
    Endpoint(POST, "/app/captcha/image", new_captcha, token=False),
    Endpoint(GET, "/app/captcha/image", captcha_picture, token=False),
    Endpoint(GET, "/app/captcha/sms_web", send_code_after_captcha, token=False),
    Endpoint(GET, "/app/captcha/sms", send_code, token=False),
    Endpoint(GET, "/app/user/info_pwd", log_in, token=False),
    Endpoint(POST, "/app/user/mobile_bind", bind),
    Endpoint(POST, "/app/user/mobile_bind_with_sign", bind_with_proof, token=False),
    Endpoint(POST, "/app/user/mobile_prechange_by_password", prove_by_password),
    Endpoint(POST, "/app/user/mobile_prechange_by_mobile", prove_by_phone),
    Endpoint(POST, "/app/user/mobile_change", change),
    Endpoint(POST, "/app/user/mobile_update", update),
    Endpoint(UPDATE, "/user/mobile", update),
    Endpoint(POST, "/app/pwd_change", change_password),
    Endpoint(GET, "/app/user_verification", verification),
    Endpoint(POST, "/app/user_verification_by_mobile", bind),
)
