"""Phone numbers: codes by SMS behind a picture captcha, binding and changing a number, logging in with one.

Everything that sends or checks a code answers 404 without an SMS provider (``[sms]``). A number belongs to one account of
an app: it is a name that leads to it, like a user name.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import msgspec

from lanying.base.budgets import charge
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import GetCredentials, SetPassword, UpdateAccount
from lanying.bus.shards import accounts, ask
from lanying.gateway.accounts import code_book, handles
from lanying.gateway.accounts.sign_in import check_password
from lanying.gateway.accounts.users import me
from lanying.gateway.http.auth import authenticate
from lanying.gateway.http.endpoint import GET, POST, UPDATE, Endpoint, Raw, RequestContext
from lanying.gateway.http.kinds import Name
from lanying.gateway.services.sms import SmsProvider

_CAPTCHA: Final = "ABCDEFGHJKLMNPRSTUVWXY3456789"
_CAPTCHA_CHARS: Final = 4
_CAPTCHA_LIFETIME_MS: Final = 5 * 60_000
_SMS_DIGITS: Final = 6
_SMS_LIFETIME_MS: Final = 10 * 60_000
_SMS_ATTEMPTS: Final = 5
TOO_MANY: Final = Refusal.TOO_MANY_FAILURES
_NOT_OFFERED: Final = "this server sends no SMS: feature not supported"


class Picture(msgspec.Struct):
    """A picture that was asked for."""

    image_id: str


class Phone(msgspec.Struct):
    """A phone number."""

    mobile: Name

    def number(self) -> str:
        """As it is kept. :raises CallError: 10002, it is none"""
        found = self.mobile.replace(" ", "")
        if not handles.is_mobile(found):
            raise CallError(
                Refusal.INVALID_PARAMETER, "mobile is a phone number: +country code and number, or 11 digits"
            )
        return found


class ReadPicture(Phone):
    """A number, and what is written on a picture."""

    image_id: str
    captcha: str


class SmsCode(Phone):
    """A number and the code sent to it."""

    captcha: str


class ProvenPhone(Phone):
    """A number, and as ``sign`` the proof that its code was known."""

    sign: str


class ProvenCode(SmsCode):
    """A number, the code sent to it, and as ``sign`` a proof of who is asking."""

    sign: str


class OwnPassword(msgspec.Struct):
    """The caller's password."""

    password: str


class ResetPassword(msgspec.Struct):
    """A password, twice, and as ``sign`` a proof of who is asking."""

    sign: str
    new_password: str
    new_password_check: str


async def new_captcha(context: RequestContext) -> object:
    """The id of a new picture."""
    charge(context.services.code_requests, context.peer, context.services.now(), "codes", refusal=TOO_MANY)
    text = "".join(secrets.choice(_CAPTCHA) for _ in range(_CAPTCHA_CHARS))
    return await code_book.keep(context, code_book.CAPTCHA, text, _CAPTCHA_LIFETIME_MS)


async def captcha_picture(context: RequestContext, given: Picture) -> object:
    """The picture, drawn anew each time. :raises CallError: 11014 there is none"""
    charge(context.services.code_requests, context.peer, context.services.now(), "codes", refusal=TOO_MANY)
    text = await code_book.read(context, code_book.CAPTCHA, given.image_id)
    if text is None:
        raise CallError(Refusal.WRONG_CAPTCHA, "this picture has expired, ask for a new one")
    return Raw(await asyncio.to_thread(_draw, text), "image/png")


async def send_code_after_captcha(context: RequestContext, given: ReadPicture) -> object:
    """Send an SMS code to a caller who can read the picture."""
    provider = _provider(context)
    mobile = given.number()
    if not await code_book.check(context, code_book.CAPTCHA, given.image_id, given.captcha.strip().upper()):
        raise CallError(Refusal.WRONG_CAPTCHA)
    return await _send(context, provider, mobile)


async def send_code(context: RequestContext, given: Phone) -> object:
    """Send an SMS code; native apps have no picture, so an address gets few."""
    return await _send(context, _provider(context), given.number())


async def log_in(context: RequestContext, given: SmsCode) -> object:
    """With an SMS code: name and one-time password of the number's account, or a proof to bind the number with."""
    _provider(context)
    mobile = await _confirmed(context, given)
    uid = await handles.find(context, handles.TEL + mobile)
    if not uid:
        return {"sign": await _proof(context, mobile)}
    info = (await accounts(context.shards, context.app.app_id, [uid]))[uid]
    return {"username": info.username, "password": await code_book.one_time_password(context, uid)}


async def bind(context: RequestContext, given: SmsCode) -> object:
    """Bind a number to the caller with an SMS code."""
    _provider(context)
    return await bind_phone(context, await _confirmed(context, given))


async def bind_with_proof(context: RequestContext, given: ProvenPhone) -> object:
    """Bind a number with the proof of :func:`log_in`, which needs the caller's token all the same."""
    _provider(context)
    mobile = given.number()
    await authenticate(context)
    if not await code_book.check(context, code_book.PROOF, given.sign, mobile):
        raise CallError(Refusal.WRONG_CODE, "sign is no proof for this number, or it was used or has expired")
    return await bind_phone(context, mobile)


async def prove_by_password(context: RequestContext, given: OwnPassword) -> object:
    """A proof that the caller knows their password."""
    await check_password(context, context.uid, given.password)
    return {"sign": await _proof(context, str(context.uid))}


async def prove_by_phone(context: RequestContext, given: SmsCode) -> object:
    """A proof that the caller has the phone that is bound."""
    _provider(context)
    mobile = await _confirmed(context, given)
    if (await me(context)).mobile != mobile:
        raise CallError(Refusal.PERMISSION_DENIED, "this is not the number of this account")
    return {"sign": await _proof(context, str(context.uid))}


async def change(context: RequestContext, given: ProvenCode) -> object:
    """Bind another number, with a proof of who is asking and a code sent to the new one."""
    _provider(context)
    mobile = await _confirmed(context, given)
    await _need_proof(context, given.sign)
    return await bind_phone(context, mobile)


async def update(context: RequestContext, given: Phone) -> object:
    """Set the number without a code: for admins, and for users where no SMS are sent."""
    mobile = given.number()
    if context.services.sms is not None and not context.admin:
        raise CallError(Refusal.PERMISSION_DENIED, "bind a number with the code sent to it (/app/user/mobile_bind)")
    context.services.probes.claim(context.prober)
    return await bind_phone(context, mobile)


async def change_password(context: RequestContext, given: ResetPassword) -> object:
    """Set the password with a proof of who is asking; tokens and sessions end."""
    services, new = context.services, given.new_password
    if new != given.new_password_check:
        raise CallError(Refusal.INVALID_PARAMETER, "new_password and new_password_check differ")
    services.passwords.check_new(new)
    await _need_proof(context, given.sign)
    found = await ask(context.shards, context.uid, GetCredentials(context.app.app_id, context.uid))
    request = SetPassword(
        context.uid, await services.passwords.hash(new, context.peer), found.password_hash, revoke=True
    )
    return await ask(context.shards, context.uid, request)


async def verification(context: RequestContext) -> object:
    """Whoever has bound a phone with a code is verified (1); where no codes are sent nobody is (clients ask at every login)."""
    if context.services.sms is None:
        return {"status": 0}
    mobile = (await me(context)).mobile
    return {"status": int(bool(mobile)), "mobile": mobile}


async def bind_phone(context: RequestContext, mobile: str) -> bool:
    """Give the caller this number, empty for none. :raises CallError: 11012 it is somebody else's"""
    before = (await me(context)).mobile
    if mobile:
        await handles.claim(context, handles.TEL + mobile, context.uid, Refusal.PHONE_TAKEN)
    await ask(context.shards, context.uid, UpdateAccount(context.uid, {"mobile": mobile}))
    if before and before != mobile:
        await handles.release(context, handles.TEL + before, context.uid)
    return True


def _provider(context: RequestContext) -> SmsProvider:
    if context.services.sms is None:
        raise CallError(Refusal.NOT_OFFERED, _NOT_OFFERED)
    return context.services.sms


async def _send(context: RequestContext, provider: SmsProvider, mobile: str) -> bool:
    services = context.services
    for requests, key in ((services.sms_requests, mobile), (services.code_requests, context.peer)):
        charge(requests, (context.app.app_id, key), services.now(), "codes", refusal=TOO_MANY)
    code = "".join(secrets.choice("0123456789") for _ in range(_SMS_DIGITS))
    await code_book.keep(context, code_book.SMS, code, _SMS_LIFETIME_MS, mobile, attempts=_SMS_ATTEMPTS)
    try:
        await provider.send(context.app.app_id, mobile, code)
    except CallError:
        services.sms_requests.give_back((context.app.app_id, mobile))
        raise
    return True


async def _confirmed(context: RequestContext, given: SmsCode) -> str:
    """The number whose SMS code the caller knows. :raises CallError: 10001"""
    mobile = given.number()
    if not await code_book.check(context, code_book.SMS, mobile, given.captcha.strip()):
        raise CallError(Refusal.WRONG_CODE)
    return mobile


async def _proof(context: RequestContext, of: str) -> str:
    return await code_book.keep(context, code_book.PROOF, of, code_book.PROOF_LIFETIME_MS)


async def _need_proof(context: RequestContext, proof: str) -> None:
    if not await code_book.check(context, code_book.PROOF, proof, str(context.uid)):
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
