"""What kind of mail it is: a bounce, a person's automatic reply, or neither."""

from __future__ import annotations

import re

from services.delivery.domain.bounces.mail import Mail, header_text

_DAEMON = re.compile(
    r"(?i)mailer-daemon|postmaster|mail delivery|mail system|majordomo|-admin@|no-?reply"
)
# A mail program's answer to List-Unsubscribe: mailto (RFC 2369), which says so.
_UNSUBSCRIBE = re.compile(r"(?i)^\W{0,20}\w{1,20} mail sent this email to unsubscribe")


def is_daemon(mail: Mail) -> bool:
    """Whether a program wrote it, by its name."""
    return bool(_DAEMON.search(mail.headers.get("from", "")))


def is_auto_reply(mail: Mail) -> bool:
    """A person's mailbox answered: RFC 3834, and what came before it."""
    headers = mail.headers
    if is_daemon(mail) or "x-failed-recipients" in headers:
        return False
    submitted = headers.get("auto-submitted", "").lower()
    if submitted.startswith("auto-replied"):
        return True
    if any(
        name in headers for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress")
    ):
        return "x-auto-response-suppress" not in headers or bool(
            _AWAY.search(header_text(headers.get("subject", "")))
        )
    if headers.get("precedence", "").lower() in ("auto_reply", "auto-reply"):
        return True
    return bool(_AWAY.search(header_text(headers.get("subject", ""))))


_AWAY = re.compile(
    r"(?i)^\W*(?:auto:|auto(?:matic|mated)?[ :_-]*(?:reply|response|responder|answer)"
    r"|out of (?:the )?office"
    r"|vacation|away from|on vacation|on leave|abwesen|automatische antwort|autoreply"
    r"|réponse automatique|absen(?:ce|t) du bureau|respuesta automática|fuera de la oficina"
    r"|resposta automática|ausência|risposta automatica|fuori sede|afwezig|自動返信|自動応答|不在"
    r"|自动回复|自動回覆|автоответ|автоматический ответ)"
)


def looks_like_bounce(mail: Mail, texts: str) -> bool:
    headers = mail.headers
    if mail.report == "delivery-status" or headers.get("return-path", "?") in ("<>", ""):
        return True
    subject = header_text(headers.get("subject", ""))
    if _RCPT.search(texts) or is_daemon(mail):
        return True
    return bool(_FAILED.search(subject) or _FAILED.search(texts[:2000]))


_RCPT = re.compile(r"(?i)rcpt to: ?<?[^\s@]{1,64}@")
_FAILED = re.compile(
    r"(?i)undeliver|deliver(?:y|ed)? (?:status|failure|failed|notification|report|error)"
    r"|returned mail|returning message|failure notice|mail failure|non[- ]?deliver"
    r"|mail system error"
    r"|could not be (?:delivered|sent)|not be delivered|not (?:been )?delivered"
    r"|unzustellbar|nicht zugestellt|non (?:remis|distribu)|no se (?:puede|pudo) entregar"
    r"|no entregad|não (?:entregue|foi entregue)|mancat[ao] (?:recapito|consegna)|退信|退回|退件"
    r"|送信できません|配信不能|не (?:может быть )?доставлен|niedostarcz|"
    r"message (?:status|rejected)|mail delivery|bounce"
    r"|not a member|not member|メールエラー|不達|недоставлен"
)


def asks_to_unsubscribe(texts: str) -> bool:
    """Whether a mail program wrote it for a reader who wants no more."""
    return bool(_UNSUBSCRIBE.search(texts[:500]))
