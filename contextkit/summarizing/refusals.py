"""Refusals: how a text begins that refuses to summarize, by language, or only announces it."""

# ruff: noqa: RUF001  (the tables are in the scripts of their languages)

from __future__ import annotations

import re

# How a refusal begins, by language; compared without case, with straight quotes.
_REFUSALS = {
    "English": (
        r"(?:i'?m|i am|i) (?:very |really |so |truly )?(?:sorry|afraid|apologi[sz]e)\b"
        r"[^.!?\n]{0,60}"
        r"\b(?:can(?:no|')t|can not|unable|not able|won't|couldn't|don't have|not possible)|"
        r"(?:sorry|apologies|my apologies|unfortunately)[,.]? (?:but )?(?:i|we) "
        r"(?:can(?:no|')t|can not|am unable|am not able|won't|couldn't|do not|don't|will not)|"
        r"i (?:can(?:no|')t|can not|am unable to|am not able to|won't|will not|must decline to) "
        r"(?:help|assist|comply|fulfil|provide|summari[sz]e|create|generate|do that|continue|"
        r"complete|process|access|see|discuss|engage|respond|answer)|"
        r"i (?:must|have to|need to) (?:respectfully |politely )?(?:decline|refuse)|"
        r"i (?:do not|don't) (?:currently |actually )?(?:have|see) (?:access to |any |the |a )*"
        r"(?:conversation|text|messages?|content|transcript|previous|prior|earlier|chat|history)|"
        r"(?:it (?:looks|seems|appears) (?:like |that )*)?"
        r"you (?:have not|haven't|did not|didn't) (?:yet )?(?:provide|share|paste|include)d?|"
        r"no (?:summary|conversation)(?: (?:is|was|has been))? (?:available|"
        r"provided|given|found|generated|needed|to summari[sz]e)|"
        r"(?:your|the) (?:request|prompt|response|output|content|message|completion|input)s? "
        r"(?:was|were|is|has been|have been|got) (?:automatically )?(?:rejected|filtered|blocked|"
        r"flagged|removed|refused|withheld)"
        r"(?:\W*$|[^\n]{0,100}\b(?:safety|content|moderation|filter|usage polic|prompt))|"
        r"(?:i'm|i am) (?:unable|not able|not allowed) to (?:help|assist|comply|fulfil|provide|"
        r"summari[sz]e|create|generate|do that|continue|complete|process|access)|"
        r"as an? (?:ai|language model|large language model|ai language model)\b[^.\n]{0,40}"
        r"\b(?:can(?:no|')t|can not|unable|don't|do not|am not)|"
        r"there (?:is|was) (?:nothing|no (?:conversation|content|text|messages?)) to summari[sz]e|"
        r"(?:please|could you)(?: please)? (?:provide|share|paste) (?:me )?(?:with )?(?:the|your) "
        r"(?:conversation|text|messages?|content|transcript)"
    ),
    "German": (
        r"(?:es tut mir leid|tut mir leid|entschuldigung|leider)[^.!?\n]{0,60}"
        r"\b(?:kann|darf|möchte|werde) (?:ich|dir|ihnen|das|dabei|dazu|diese)|"
        r"ich (?:kann|darf|werde) (?:dir |ihnen |das |dabei |diese |dieser )[^.!?\n]{0,60}\bnicht"
    ),
    "French": (
        r"(?:je suis|désolée?|je regrette|malheureusement)[^.!?\n]{0,60}"
        r"\bje ne (?:peux|puis|suis pas|pourrai)|"
        r"je ne (?:peux|puis) pas (?:vous|t'|répondre|fournir|résumer|aider|accéder|faire)"
    ),
    "Spanish": (
        r"(?:lo siento|lo lamento|disculpa|perdona|lamentablemente)[^.!?\n]{0,60}"
        r"\bno (?:puedo|me es posible|podré|soy capaz)|"
        r"no puedo (?:ayudar|proporcionar|cumplir|resumir|hacer eso|acceder|procesar|realizar|"
        r"continuar|responder)"
    ),
    "Portuguese": (
        r"(?:desculpe|lamento|sinto muito|infelizmente|peço desculpas?)[^.!?\n]{0,60}"
        r"\bnão (?:posso|consigo|é possível|poderei)|"
        r"não (?:posso|consigo) (?:ajudar|fornecer|atender|resumir|fazer isso|acessar|"
        r"processar|realizar|responder)"
    ),
    "Italian": (
        r"(?:mi dispiace|spiacente|purtroppo|mi scuso)[^.!?\n]{0,60}"
        r"\bnon (?:posso|sono in grado|mi è possibile|riesco)|"
        r"non (?:posso|sono in grado di) (?:aiutar|fornire|riassumere|fare questo|rispondere)"
    ),
    "Russian": (
        r"(?:извините|простите|к сожалению|сожалею|мне жаль)[^.!?\n]{0,60}"
        r"\b(?:не могу|не можем|не в состоянии|не имею)|"
        r"я не могу (?:помочь|выполнить|предоставить|ответить|сделать|обобщить|продолжить)"
    ),
    "Chinese": (
        r"(?:很抱歉|非常抱歉|抱歉|对不起|對不起|不好意思)[^。！？\n]{0,30}(?:无法|無法|不能|没办法|不可以)|"
        r"我(?:无法|無法|不能)(?:帮|幫|提供|协助|協助|完成|总结|總結|回答|满足|满足|继续|处理)"
    ),
    "Japanese": (
        r"(?:申し訳|すみません|ごめんなさい|恐れ入り|残念ながら)[^。！？\n]{0,40}"
        r"(?:できません|できかねます|いたしかねます|お答えできない|お手伝いできない)"
    ),
    "Dutch": (
        r"(?:het spijt (?:me|mij|ons)|sorry|helaas|excuses)[^.!?\n]{0,60}"
        r"\b(?:kan|mag|kunnen|zal) (?:ik|je|u|dit|dat|deze|hier|niet|we|wij)|"
        r"ik (?:kan|mag|zal) (?:je |u |dit |dat |deze |hier |daar )[^.!?\n]{0,60}\bniet"
    ),
    "Polish": (
        r"(?:przepraszam|przykro mi|niestety|wybacz)[^.!?\n]{0,60}"
        r"\bnie (?:mogę|możemy|jestem w stanie|mam|potrafię|da się)|"
        r"nie (?:mogę|jestem w stanie|potrafię) (?:pomóc|podsumować|streścić|tego|udzielić|"
        r"wykonać|spełnić|odpowiedzieć|wygenerować|stworzyć|dostarczyć|przetworzyć)"
    ),
    "Turkish": (
        r"(?:üzgünüm|maalesef|özür dilerim|kusura bakmayın|ne yazık ki)[^.!?\n]{0,80}"
        r"(?:amıyorum|emiyorum|amam|emem|amayız|emeyiz|amıyoruz|emiyoruz|mümkün değil)"
    ),
    "Vietnamese": (
        r"(?:(?:tôi |rất |mình )*(?:xin lỗi|lấy làm tiếc|tiếc)|rất tiếc)[^.!?\n]{0,60}"
        r"\bkhông (?:thể|được phép|có khả năng)|"
        r"tôi không thể (?:giúp|hỗ trợ|tóm tắt|cung cấp|thực hiện|trả lời|tiếp tục|xử lý|làm)"
    ),
    "Ukrainian": (
        r"(?:вибачте|перепрошую|на жаль|мені шкода)[^.!?\n]{0,60}"
        r"\b(?:не можу|не можемо|не в змозі|не маю)"
    ),
    "Czech": (
        r"(?:omlouvám se|je mi líto|bohužel|promiňte)[^.!?\n]{0,60}"
        r"\b(?:nemohu|nemůžu|nejsem schopen|nejsem schopna|nelze|nemám)"
    ),
    "Swedish, Norwegian, Danish": (
        r"(?:jag är ledsen|jeg er lei meg|beklager|jeg beklager|tyvärr|dessverre|desværre|"
        r"undskyld|förlåt)[^.!?\n]{0,60}\b(?:kan|får|kommer) (?:jag |jeg |vi )?(?:inte|ikke)"
    ),
    "Finnish": (
        r"(?:valitettavasti|olen pahoillani|pahoittelen|anteeksi)[^.!?\n]{0,60}"
        r"\b(?:en voi|en pysty|emme voi|en kykene)"
    ),
    "Indonesian": (
        r"(?:maaf|mohon maaf|sayangnya|saya minta maaf)[^.!?\n]{0,60}"
        r"\b(?:tidak (?:dapat|bisa)|tak (?:dapat|bisa))"
    ),
    "Arabic": (
        r"(?:عذرا|عذراً|آسف|أعتذر|للأسف|نعتذر)[^.!؟\n]{0,60}"
        r"(?:لا أستطيع|لا يمكنني|لا يمكن|غير قادر)"
    ),
    "Hindi": r"(?:क्षमा करें|माफ़ करें|माफ कीजिए|मुझे खेद है|मुझे अफ़सोस है)[^।!?\n]{0,80}(?:नहीं|असमर्थ)",
    "Korean": (r"(?:죄송|미안|유감)[^.!?\n]{0,40}(?:수 없|없습니다|불가|어렵습니다|못)"),
}
REFUSED = re.compile("|".join(_REFUSALS.values()))

# All that a text says that announces a summary, or asks for something to summarize.
ANNOUNCED = re.compile(
    r"(?:(?:of course|certainly|sure thing|sure|absolutely|okay|ok|understood|got it|alright|"
    r"great|no problem|gladly|hello|hi)[\s.,!:;–—-]*)*"
    r"(?:(?:(?:here(?:'s| is| are)|below is|this is|i(?:'ll| will| can|'d be happy to|"
    r" would be happy to)) (?:(?:a|an|the|my|your|you|now|provide|give|write|brief|short|concise|"
    r"detailed|complete|requested) )*)?(?:conversation |chat )?"
    r"(?:summary|summari[sz]e|overview|recap)"
    r"(?:[ ,]+(?:of|so far|above|below|for|you|me|the|this|our|your|that|entire|whole|previous|"
    r"earlier|conversation|chat|discussion|dialogue|messages?|until now|up to now|requested|as|"
    r"please|now))*|"
    r"what (?:would you like|do you want)[^\n?]{0,40}\bsummari[sz]ed?\b[^\n?]{0,40}|"
    r"(?:how|what) (?:can|may) i (?:help|assist)(?: you)?(?: with)?(?: today)?)?\W*"
)
