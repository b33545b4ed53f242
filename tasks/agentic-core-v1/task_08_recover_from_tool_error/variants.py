"""The diary of a library in one of five languages, and a byte inside one of its characters.

The entries are drawn from the same words in every language; each word of a row means what the
word at its place in the English row means. No two entries are alike.
"""
# ruff: noqa: RUF001 - letters of other alphabets look like Latin ones

from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

SIZE = 150_000
"""Bytes of the diary, but for the rest of its last entry."""

FIRST, LAST = 36_000, 48_000
"""Where the byte lies. Every diary has more characters than that, so whoever counts characters
finds an entry too, far behind the right one."""

ROWS = ["form", "family", "given", "month", "when", "thing", "place", "did"]

ENGLISH = """
On {day} {month}, /{when}, a visitor {did} {thing} {place}.
-/-/-/-/-/-/-/-
-/-/-/-/-/-/-/-
January/February/March/April/May/June/July/August/September/October/November/December
early/before noon/at noon/in the afternoon/in the evening/before closing/in the rain/after a call
a black umbrella/a purse/a silk scarf/an old map/a wooden box/a brown glove/a white envelope/\
a silver bracelet
in the reading room/under the stairs/at the entrance/by the window/in the cellar/\
on the second floor/in the music room/by the newspapers
found/forgot/handed in/looked for/collected
"""

LANGUAGES = {
    "Japanese": """
{month}月{day}日、/{family}{given}さんが{when}{thing}を{place}{did}。
渡辺/佐々木/中村/山本/井上/清水/斎藤/藤井
美咲/健一/結衣/大輔/恵/浩二/真由/拓也
1/2/3/4/5/6/7/8/9/10/11/12
朝早く/昼前に/昼休みに/午後/夕方/閉館の前に/雨の中/電話のあと
黒い傘/財布/絹の襟巻き/古い地図/木の箱/茶色の手袋/白い封筒/銀の腕輪
閲覧室/階段の下/入口の棚/窓ぎわの机/地下の書庫/二階の廊下/音楽室の前/新聞の棚
で見つけた/に置き忘れた/に預けて帰った/で探していた/で受け取った
""",
    "Korean": """
{month}월 {day}일, /{family}{given} 씨가 {when} {thing} {place}{did}.
김/이/박/최/정/강/조/윤
민준/서연/도윤/지우/하준/수아/은우/지민
1/2/3/4/5/6/7/8/9/10/11/12
아침 일찍/오전에/점심때/오후에/저녁에/문 닫기 전에/비 오는 중에/전화한 뒤에
검은 우산을/지갑을/비단 목도리를/낡은 지도를/나무 상자를/갈색 장갑을/흰 봉투를/은팔찌를
열람실/계단 밑/입구 선반/창가 책상/지하 서고/이층 복도/음악실 앞/신문 코너
에서 발견했다/에 두고 갔다/에 맡겼다/에서 찾고 있었다/에서 받아 갔다
""",
    "Chinese": """
{month}月{day}日，/{family}{given}{when}在{place}{did}{thing}。
王/李/张/刘/陈/杨/赵/黄
芳/伟/秀英/建国/丽娜/志强/晓梅/文博
1/2/3/4/5/6/7/8/9/10/11/12
清晨/上午/中午/下午/傍晚/闭馆前/下雨时/打完电话后
黑色雨伞/钱包/丝绸围巾/旧地图/木盒子/棕色手套/白色信封/银手镯
阅览室/楼梯下面/入口处/窗边/地下书库/二楼走廊/音乐室/报刊架旁
找到了/落下了/上交了/寻找/领走了
""",
    "Russian": """
{day} {month} /{when} {given} {family} {did} {thing} {place}.
Шевченко/Черных/Коваленко/Седых/Бондаренко/Белых/Ткаченко/Долгих
Анна/Иван/Мария/Павел/Ольга/Сергей/Вера/Николай
января/февраля/марта/апреля/мая/июня/июля/августа/сентября/октября/ноября/декабря
рано утром/до полудня/в полдень/после обеда/вечером/перед закрытием/во время дождя/после звонка
чёрный зонт/кошелёк/шёлковый шарф/старую карту/деревянный ящик/коричневую перчатку/белый конверт/\
серебряный браслет
в читальном зале/под лестницей/у входа/у окна/в подвале/на втором этаже/в музыкальной комнате/\
у полки с газетами
находит/забывает/сдаёт/ищет/забирает
""",
    "Hindi": """
{day} {month} को /{given} {family} ने {when} {place} {thing} {did}।
शर्मा/वर्मा/गुप्ता/मिश्रा/यादव/पांडे/तिवारी/जोशी
अनिता/राहुल/सुनीता/विजय/प्रिया/अमित/कविता/संजय
जनवरी/फरवरी/मार्च/अप्रैल/मई/जून/जुलाई/अगस्त/सितंबर/अक्टूबर/नवंबर/दिसंबर
सुबह जल्दी/दोपहर से पहले/दोपहर में/तीसरे पहर/शाम को/बंद होने से पहले/बारिश के समय/फोन करने के बाद
काला छाता/बटुआ/रेशमी दुपट्टा/पुराना नक्शा/लकड़ी का डिब्बा/भूरा दस्ताना/सफेद लिफाफा/चांदी का कंगन
वाचनालय में/सीढ़ियों के नीचे/प्रवेश द्वार पर/खिड़की के पास/तहखाने में/दूसरी मंजिल पर/संगीत कक्ष में/\
अखबारों के पास
पाया/छोड़ दिया/जमा कराया/ढूंढा/वापस लिया
""",
}


class Event(NamedTuple):
    """What an entry tells: a day, and for each row the place of its word."""

    day: date
    words: dict[str, int]

    def told(self, pools: dict[str, list[str]]) -> list[str]:
        """The entry in one language: its date, and the rest."""
        words = {name: pools[name][number] for name, number in self.words.items()}
        words["month"] = pools["month"][self.day.month - 1]
        return [form.format(day=self.day.day, **words) for form in pools["form"]]


def draw(random: Random) -> dict[str, Any]:
    """Another diary, in any of the languages, and another byte."""
    return _with_byte(random.choice(list(LANGUAGES)), random.randrange(10**9))


def files(facts: dict[str, Any]) -> dict[str, str]:
    """The diary."""
    return {"diary.txt": "".join(f"{entry}\n" for entry in _diary(**facts["diary"]))}


def _diary(language: str, seed: int) -> dict[str, Event]:
    """The entries in their order, with what they tell."""
    random, pools = Random(seed), _pools(LANGUAGES[language])
    day, size = date(2023, 1, 2) + timedelta(random.randrange(365)), 0
    entries: dict[str, Event] = {}
    while size < SIZE:
        drawn = {name: random.randrange(len(pools[name])) for name in ROWS[1:] if name != "month"}
        event = Event(day, drawn)
        entry = "".join(event.told(pools))
        if entry not in entries:
            entries[entry] = event
            size += len(f"{entry}\n".encode())
        day += timedelta(random.choice((0, 0, 0, 1)))
    return entries


def _pools(rows: str) -> dict[str, list[str]]:
    lines = rows.strip().split("\n")
    return {name: line.split("/") for name, line in zip(ROWS, lines, strict=True)}


def _with_byte(language: str, seed: int) -> dict[str, Any]:
    """The facts: the byte, the second of a character amid an entry, and what stands around it."""
    random, diary = Random(seed + 1), _diary(language, seed)
    entries, begins = list(diary), [0]
    for entry in entries:
        begins.append(begins[-1] + len(f"{entry}\n".encode()))
    number = random.choice([n for n, begin in enumerate(begins) if FIRST < begin < LAST])
    entry, following = entries[number], entries[number + 1]
    middle = range(len(entry) // 3, len(entry) * 2 // 3)
    place = random.choice([at for at in middle if not entry[at].isascii()])
    cut = begins[number] + len(entry[:place].encode())
    text = "\n".join(entries)
    return {
        "diary": {"language": language, "seed": seed},
        "byte": cut + 1,
        "cut": cut,
        "size": len(entry[place].encode()),
        "begin": begins[number],
        "end": begins[number + 1] - 1,
        "begin_before": begins[number - 1],
        "entry": entry,
        "entry_before": entries[number - 1],
        "entry_after": following,
        "up_to_character": entry[:place],
        "after_character": entry[place + 1 :],
        "character": entry[place],
        "misread": next(c for c in following if c.isalpha() and c != entry[place]),
        "counted_in_characters": text[text.rfind("\n", 0, cut + 1) + 1 :].split("\n")[0],
        "without_date": diary[entry].told(_pools(LANGUAGES[language]))[1],
        "translated": "".join(diary[entry].told(_pools(ENGLISH))),
    }


FIXED = _with_byte("Japanese", 20260610)
