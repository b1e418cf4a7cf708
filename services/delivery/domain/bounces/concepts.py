"""What a sentence is about and what it says of it, in whatever order and in several languages.

Stock texts are known word by word (`phrases`); what is left are the same few statements in other
words: a recipient that is not there, a mailbox that is full. A statement is a thing and something
said of it within one sentence. Accents are folded, so that "boîte" is found as "boite".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from services.delivery.domain.bounces.reasons import Reason

_R = Reason
_NEAR = 60

# Each is the beginning of a word, unless it is of a writing without spaces, or of three letters.
_RECIPIENT = (
    "user", "recipient", "mailbox", "mail box", "inbox", "address", "account", "alias",
    "local part", "maildrop", "employee", "customer", "subscriber", "e-mail id", "empfanger",
    "empfaenger", "benutzer", "postfach", "adresse", "konto", "teilnehmer", "destinataire",
    "utilisateur", "boite", "compte", "abonne", "usuario", "destinatario", "buzon", "cuenta",
    "direccion", "caixa", "conta", "endereco", "utente", "casella", "indirizzo", "ontvanger",
    "gebruiker", "postvak", "uzytkownik", "odbiorc", "skrzynk", "пользовател", "получател", "адрес",
    "ящик", "учетн", "абонент",
)  # fmt: skip
_RECIPIENT_CJK = (
    "用户", "用戶", "收件人", "邮箱", "郵箱", "信箱", "帐户", "账户", "帐号", "账号", "帳號",
    "收信人", "地址", "ユーザ", "宛先", "アドレス", "メールボックス", "受信者", "受信箱",
    "アカウント", "利用者", "사용자", "수신자", "수신인", "메일함", "계정",
)  # fmt: skip
_ABSENT = (
    "n't be resolved", "unknown", "not found", "not exist", "no such", "does not exist",
    "doesn't exist", "nonexist", "non-exist", "non exist", "invalid", "not valid", "isn't valid",
    "no longer exist", "never existed", "not recogni", "unrecogni", "cannot be found",
    "can't be found", "could not be found", "couldn't be found", "was not found", "wasn't found",
    "been deleted", "been removed", "not listed", "not registered", "unregistered", "not known",
    "is not local", "doesn't have", "not a known", "incorrect", "wrong", "not in use",
    "no longer in use", "not be located", "n't exist", "not exists", "is not exist", "is not here",
    "no record", "misspelled", "not be resolved", "cannot resolve", "no match", "not provisioned",
    "n't known", "could not find", "no dns record", "not on file", "unbekannt", "existiert nicht",
    "nicht gefunden", "nicht bekannt", "ungultig", "nicht vorhanden", "inconnu", "n'existe pas",
    "n'existe plus", "introuvable", "invalide", "n'a pas ete trouve", "desconocid", "no existe",
    "no valid", "no encontrad", "no se encontr", "inexistente", "desconhecid", "nao existe",
    "nao encontrad", "nao foi encontrad", "invalido", "sconosciut", "inesistente", "non esiste",
    "non trovat", "non valid", "bestaat niet", "onbekend", "niet gevonden", "nieznan",
    "nie istnieje", "nie znalezion", "не найден", "не существует", "нет такого", "такого",
    "неизвест", "несуществующ",
)  # fmt: skip
_ABSENT_CJK = (
    "不存在", "无此", "無此", "未找到", "找不到", "查无", "無効", "存在しません", "存在しない",
    "存在致しません", "見つかりません", "不明", "찾을 수 없", "존재하지", "알 수 없",
)  # fmt: skip
_FULL = (
    "full", "quota", "out of space", "no space", "no free space", "storage", "capacity", "voll",
    "uberfullt", "uberschritten", "plein", "depasse", "sature", "llen", "supera", "excedi", "chei",
    "lotad", "pien", "esaurit", "vol", "przepelnion", "pełn", "peln", "переполн", "превышен",
    "заполнен",
)  # fmt: skip
_FULL_CJK = ("已满", "已滿", "容量", "いっぱい", "一杯", "満杯", "초과", "가득")
_OFF = (
    "disabled", "suspended", "inactive", "locked", "deactivated", "terminated", "closed", "blocked",
    "frozen", "expired", "cancelled", "canceled", "not active", "no longer active", "dormant",
    "no longer accepts", "discontinued", "gesperrt", "deaktiviert", "inaktiv", "desactiv",
    "suspend", "bloque", "inactif", "resilie", "inactiv", "inativ", "desativad", "bloquead",
    "disabilitat", "sospes", "disattivat", "geblokkeerd", "uitgeschakeld", "заблокирован",
    "отключен", "неактив", "удален",
)  # fmt: skip
_OFF_CJK = ("禁用", "停用", "停止", "冻结", "凍結", "锁定", "解約", "利用停止", "정지", "휴면")
_MESSAGE = (
    "message", "mail", "email", "e-mail", "attachment", "size", "nachricht", "mensaje", "correo",
    "mensagem", "messaggio", "bericht", "wiadomosc", "сообщени", "письм", "размер",
)  # fmt: skip
_MESSAGE_CJK = ("邮件", "郵件", "メッセージ", "メール", "サイズ", "메일", "메시지")
_BIG = (
    "exceeds the allowed", "bigger than", "more than", "is over", "larger than", "above",
    "too large", "too big", "too long", "exceeds the maximum", "exceeds the limit",
    "over the limit", "zu gross", "zu groß", "trop volumineux", "trop grand", "trop gros",
    "demasiado grande", "muito grande", "troppo grande", "te groot", "zbyt duz", "слишком больш",
)  # fmt: skip
_BIG_CJK = ("大きすぎ", "大小超", "过大", "過大", "太大", "너무 큽")
_DOMAIN = (
    "domain", "host", "hostname", "destination server", "domane", "domaene", "domaine", "dominio",
    "domein", "domen", "домен",
)  # fmt: skip
_DOMAIN_CJK = ("域名", "网域", "網域", "ドメイン", "도메인")
_REFUSED = (
    "reject", "refuse", "denied", "blocked", "not accepted", "not allowed", "prohibited",
    "not permitted", "banned", "forbidden", "blacklist", "denylist", "declin", "disallow",
    "not welcome", "restrict", "deny list", "block list", "abgelehnt", "verweigert", "geblockt",
    "blockiert", "refuse", "rejete", "bloque", "rechazad", "rejeitad", "recusad", "rifiutat",
    "geweigerd", "odrzucon", "отклонен", "отвергнут", "запрещ",
)  # fmt: skip
_REFUSED_CJK = ("拒绝", "拒絕", "拒否", "拒収", "退信", "被拒", "屏蔽", "거부", "차단")
_SPAM = ("spam", "junk", "unsolicited", "pourriel", "спам", "bulk mail", "phish")
_SPAM_CJK = ("垃圾", "迷惑メール", "スパム", "스팸")
_JUDGED = (
    "classified", "considered", "identified", "detected", "eingestuft", "erkannt", "considere",
    "identifie", "considerad", "classificat", "判定", "判断", "认为",
)  # fmt: skip
_SENDER = (
    "sender", "from address", "return path", "absender", "expediteur", "remitente", "remetente",
    "mittente", "afzender", "отправител",
)  # fmt: skip
_SENDER_CJK = ("发件人", "發件人", "寄件", "送信者", "差出人", "送信元", "발신자")
_CONNECTION = (
    "ip", "ips", "connection", "connections", "client", "your server", "your mail server",
    "your host", "your network", "serveur", "servidor", "адрес ip",
)  # fmt: skip
_VIRUS = ("вирус", "病毒", "ウイルス", "ウィルス", "바이러스")
_TIME_UP = (
    "zeituberschreitung", "delai depasse", "tiempo agotado", "expirad", "配送できませんでした",
    "配信できませんでした", "タイムアウト", "超时", "истекло", "истек",
)  # fmt: skip


_MOVED = (
    "moved", "new mailbox", "new address", "changed to", "elsewhere", "relocated", "neue adresse",
    "nouvelle adresse",
)  # fmt: skip
_WANTS = (
    "only accepts", "only receives", "does not accept mail from", "does not want", "not wish",
    "blocks mail", "blocks you", "has blocked", "privacy settings", "personal filter",
)  # fmt: skip
_FILE = (
    "attachment",
    "archive",
    "file type",
    "files",
    "extension",
    "zip",
    "anhang",
    "piece jointe",
    "adjunto",
)
_RATE = (
    "hourly", "daily", "per hour", "per day", "per minute", "throughput", "sending rate", "rate",
    "frequency", "volume", "messages", "mails",
)  # fmt: skip
_LIMITED = ("limit", "allowance", "used up", "too high", "too many", "exceed", "throttl", "quota")
_SESSION = ("session", "connection", "concurren", "simultaneous")
_MANY = ("limit", "too many", "maximum", "already have", "exceed")
_RECIPIENTS = ("recipients", "rcpts", "destinataires")
_LINK = ("connection", "remote end", "remote host", "remote server", "socket", "network", "peer")
_BROKEN = (
    "lost", "hung up", "closed", "dropped", "reset", "not open", "failed", "interrupted", "aborted",
    "unreachable", "broken", "disconnect",
)  # fmt: skip
_TRIES = ("delivery", "deliver", "message", "queue", "retr", "attempt")
_TOO_LONG = ("for a long time", "too long", "given up", "giving up", "gave up", "no longer tr")
_STORE = ("disk", "partition", "spool", "filesystem", "file system", "server storage")
_MACHINE = (
    "database", "backend", "internal", "lookup", "directory", "ldap", "local problem", "queue",
    "processing", "configuration", "filesystem", "software",
)  # fmt: skip
_FAILS = ("down", "fail", "error", "unavailable", "problem", "not available", "cannot", "unable")
_LOGIN = ("authentication", "login", "log in", "password", "credentials", "logged in", "auth")
_LOGIN_FAILS = ("incorrect", "fail", "required", "before", "invalid")
_COMMAND = ("command", "parameter", "argument", "sequence", "syntax")
_MALFORMED = (
    "not recogn", "unrecogn", "bad", "invalid", "unexpected", "unsupported", "unknown", "missing",
    "error", "not implemented", "malformed",
)  # fmt: skip
_RELAY = ("not hosted", "not served", "not handled here", "not local", "do not serve")
_OWNER = ("dmarc", "spf", "dkim", "not authenticated", "unauthenticated")
_POLICY = ("polic", "fail", "invalid", "not pass", "domain", "mismatch", "evaluat", "not align")
_ACCENTS = re.compile("[\u0300-\u036f]")
_SENTENCE = re.compile(r"[.;!?]\s|[。；！？]")  # noqa: RUF001 Chinese punctuation
_SAID = re.compile(r"^.{0,200}? said: ", re.DOTALL)  # Names the server, not the client.
_MAX_READ = 800
_MAX_SENTENCES = 60
_IP = re.compile(r"\[?\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b\]?")


def _folded(text: str) -> str:
    """Lower case without accents."""
    text = text.lower()
    return text if text.isascii() else _ACCENTS.sub("", unicodedata.normalize("NFD", text))


def _any(*groups: tuple[str, ...]) -> str:
    """One pattern for all: words of an alphabet from their beginning on, the others anywhere."""
    found = []
    for word in dict.fromkeys(_folded(word) for group in groups for word in group):
        plain = re.escape(word).replace("\\ ", r"\s")
        begins = r"\b" if word[0] < "\u0500" and not word.startswith("n't") else ""
        found.append(begins + plain + (r"\b" if len(word) <= 3 and word.isascii() else ""))
    return "(?:" + "|".join(found) + ")"


def _statement(*things: tuple[str, ...], said: tuple[tuple[str, ...], ...]) -> re.Pattern[str]:
    thing, predicate = _any(*things), _any(*said)
    near = f".{{0,{_NEAR}}}?"
    return re.compile(f"{thing}{near}{predicate}|{predicate}{near}{thing}")


_STATEMENTS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (_R.VIRUSDETECTED, re.compile(_any(_VIRUS))),
    (_R.SPAMDETECTED, _statement(_SPAM, _SPAM_CJK, said=(_REFUSED, _REFUSED_CJK, _JUDGED))),
    (
        _R.REJECTED,
        _statement(
            _SENDER, _SENDER_CJK, said=(_REFUSED, _REFUSED_CJK, _ABSENT, _ABSENT_CJK)
        ),
    ),
    (_R.AUTHFAILURE, _statement(_OWNER, said=(_POLICY,))),
    (_R.POLICYVIOLATION, _statement(_FILE, said=(_REFUSED,))),
    (_R.TOOMANYCONN, _statement(_SESSION, said=(_MANY,))),
    (_R.TOOMANYCONN, _statement(_RECIPIENTS, said=(_MANY,))),
    (_R.FILTERED, _statement(_RECIPIENT, said=(_WANTS,))),
    (_R.REJECTED, _statement(("no rights", "no permission"), said=(("send", "post", "write"),))),
    (_R.MAILBOXFULL, _statement(_RECIPIENT, _RECIPIENT_CJK, said=(_FULL, _FULL_CJK))),
    (_R.MESGTOOBIG, _statement(_MESSAGE, _MESSAGE_CJK, said=(_BIG, _BIG_CJK))),
    (_R.HOSTUNKNOWN, _statement(_DOMAIN, _DOMAIN_CJK, said=(_ABSENT, _ABSENT_CJK))),
    (_R.HASMOVED, _statement(_RECIPIENT, ("person", "employee"), said=(_MOVED,))),
    (_R.SUSPEND, _statement(_RECIPIENT, _RECIPIENT_CJK, said=(_OFF, _OFF_CJK))),
    (_R.USERUNKNOWN, _statement(_RECIPIENT, _RECIPIENT_CJK, said=(_ABSENT, _ABSENT_CJK))),
    (_R.FILTERED, _statement(_RECIPIENT_CJK, said=(_REFUSED_CJK,))),
    (_R.BLOCKED, _statement(_CONNECTION, said=(_REFUSED, _REFUSED_CJK))),
    (_R.EXPIRED, re.compile(_any(_TIME_UP))),
    (_R.NORELAYING, _statement(_DOMAIN, said=(_RELAY,))),
    (_R.SYSTEMFULL, _statement(_STORE, ("queue",), said=(("full", "no space", "out of"),))),
    (_R.SECURITYERROR, _statement(_LOGIN, said=(_LOGIN_FAILS,))),
    (_R.SPEEDING, _statement(_RATE, said=(_LIMITED,))),
    (_R.SYNTAXERROR, _statement(_COMMAND, said=(_MALFORMED,))),
    (_R.EXPIRED, _statement(_TRIES, said=(_TOO_LONG,))),
    (_R.NETWORKERROR, _statement(_LINK, said=(_BROKEN,))),
    (_R.SYSTEMERROR, _statement(_MACHINE, said=(_FAILS,))),
)  # fmt: skip


@lru_cache(maxsize=64)
def reason_of(text: str) -> Reason | None:
    """What the text states in its first 800 characters, None for nothing that is known. A report
    says the same of many recipients, hence the cache."""
    text = text[:_MAX_READ]
    sentences = _SENTENCE.split(_IP.sub(" ip ", _SAID.sub("", _folded(text), count=1)))[
        :_MAX_SENTENCES
    ]
    for reason, pattern in _STATEMENTS:
        if any(pattern.search(sentence) for sentence in sentences):
            return reason
    return None
