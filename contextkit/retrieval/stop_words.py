"""Stop words by language: the words of grammar, which say nothing of what a text is about.

Short lists of our own: what they miss, the inverse document frequency makes light. Words that are
also names of months or the like (English "may") are not in them. They tell Latin-script languages
apart as well.
"""

# ruff: noqa: RUF001 - Turkish and Russian are written so

from __future__ import annotations

STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": """
            a about above after again against all am an and any are as at be because been
            before being below between both but by can could did do does doing down during each
            else ever few for from further had has have having he her here hers herself him himself
            his how i if in into is it its itself just let me more most my myself no nor not of off
            on once only or other our ours ourselves out over own same shall she should so some
            such than that the their theirs them themselves then there these they this those
            through to too under until up upon us very was we were what when where which while who
            whom whose why will with would yet you your yours yourself yourselves
            also get go going got hey hi oh ok okay please really us wow yeah yes
            ain aren couldn d didn doesn don hadn hasn haven isn ll m mustn re s shouldn t ve wasn
            weren won wouldn
        """,
        "german": """
            aber alle allem allen aller alles als also am an ander andere anderen auch auf aus bei
            beim bin bis bist da damit dann das dass dein deine deinem deinen deiner dem den denn
            der des dessen dich die dies diese diesem diesen dieser dieses dir doch dort du durch
            ein eine einem einen einer eines er es etwas euch euer eure für gegen hab habe haben
            hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins
            ist ja jede jedem jeden jeder jedes jener kann kein keine keinem keinen keiner können
            könnte mich mein meine meinem meinen meiner mir mit muss nach nicht nichts noch nun nur
            ob oder ohne sehr sein seine seinem seinen seiner seit selbst sich sie sind so soll
            sollte sondern sonst um und uns unser unsere unter vom von vor wann war waren warst was
            weil welche welchem welchen welcher welches wenn wer werde werden wie wieder will wir
            wird wirst wo wollen worden würde würden zu zum zur zwar zwischen über
        """,
        "french": """
            ai aie alors après as au aucun aussi autre aux avait avant avec avez avoir avons c ça ce
            ceci cela celle celles celui ces cet cette ceux chaque chez comme comment d dans de
            depuis des dont donc du elle elles en encore entre es est et étaient était été être eu
            fait il ils j je l la là le les leur leurs lui m ma mais me même mes moi mon n ne nos
            notre nous on ont ou où par parce pas peu peut plus pour pourquoi près puis qu quand que
            quel quelle quelles quels qui quoi s sa sans se sera ses si sien soi sommes son sont
            sous suis sur t ta te tes toi ton tous tout toute toutes très tu un une vers vos votre
            vous y à
        """,
        "spanish": """
            a al algo algunas alguno algunos ante antes aquel aquella aquí así aun aunque cada como
            cómo con contra cual cuál cuando cuándo de del desde donde dónde dos e el él ella ellas
            ellos en entre era eran eres es esa esas ese eso esos esta está están estas este esto
            estos estoy fue fueron ha había han has hasta hay he la las le les lo los me mi mí mis
            mucho muy más nada ni no nos nosotros nuestra nuestro o os otra otro para pero poco por
            porque pues que qué quien quién se sea ser si sí sin sobre sois somos son soy su sus
            también tan tanto te tengo tiene tienen todo todos tu tú tus un una uno unos usted
            ustedes vosotros y ya yo
        """,
        "portuguese": """
            a ainda algo ao aos aquela aquele aqui as até cada com como da das de dela dele deles
            depois do dos e ela elas ele eles em então era eram essa esse esta está estão este estou
            eu foi foram há isso isto já lhe lhes mais mas me mesmo meu meus minha minhas muito na
            nas nem no nos nós nossa nosso num numa não o onde os ou para pela pelas pelo pelos pode
            por porque qual quando que quem se seja sem ser seu seus sou sua suas são só também te
            tem tenho ter teu tinha toda todo todos tu tua tudo um uma umas uns você vocês à às é
        """,
        "italian": """
            a abbia abbiamo agli ai al alla alle allo anche ancora avere aveva c che chi ci cioè
            come con contro cosa cui d da dagli dai dal dalla dalle dallo degli dei del dell della
            delle dello di dove due e è ed era erano essere fra gli ha hai hanno ho i il in io l la
            le lei li lo loro lui ma me mi mia mie miei mio molto ne negli nei nel nella nelle nello
            noi non nostra nostro o ogni per perché perchè però più poi quale quali quando quanto
            quella quelle quelli quello questa queste questi questo qui se sei senza si sia siamo
            siete sono sta su sua sue sugli sui sul sulla suo suoi te ti tra tu tua tue tuo tuoi
            tutti tutto un una uno vi voi vostra vostro
        """,
        "dutch": """
            aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door
            dus een eens en er ge geen geweest haar had heb hebben heeft hem het hier hij hoe hun
            iemand iets ik in is ja je jij jouw jullie kan kon kunnen maar me meer men met mij mijn
            moet na naar niet niets nog nu of om omdat onder ons onze ook op over reeds te tegen
            toch toen tot u uit uw van veel voor waar waarom wanneer want waren was wat welke werd
            wezen wie wij wil worden wordt zal ze zelf zich zij zijn zo zonder zou
        """,
        "swedish": """
            alla allt än är att av blev bli blir blivit de dem den denna deras dess dessa det detta
            dig din dina ditt du där då efter ej eller en er ert ett från för ha hade han hans har
            henne hennes hon honom hur här i icke ingen inom inte jag ju kan kunde man med mellan
            men mig min mina mitt mot mycket ni nu när någon något några och om oss på samma sedan
            sig sin sina sitta själv skulle som så sådan till under upp ut utan vad var vara varför
            varit vars vart vem vi vid vilka vilken vilket vår våra vårt åt över
        """,
        "danish": """
            ad af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig
            din disse dog du efter eller en end er et for fra ham han hans har havde have hende
            hendes her hos hun hvad hvem hvis hvor hvordan hvorfor i ikke ind jeg jer jo kunne man
            mange med meget men mig min mine mit mod ned noget nogle nu når og også om op os over på
            selv sig sin sine sit skal skulle som sådan thi til ud under var vi vil ville vor være
            været
        """,
        "norwegian": """
            alle at av bare begge ble blei bli blir både da de deg dem den denne der dere deres det
            dette di din disse ditt du eller en er et ett etter for fordi fra før ha hadde han hans
            har henne hennes her hos hun hva hvem hver hvilken hvis hvor hvordan hvorfor i ikke
            ingen inn ja jeg kan kom kun kunne man mange med meg meget men mer mi min mitt mot mye
            ned nei noe noen nå når og også om opp oss over på samme seg selv sin sine sitt skal
            skulle slik som så til ut uten var ved vi vil ville vår være vært
        """,
        "turkish": """
            acaba ama ancak aslında az bazı belki ben benim beni bana bir biri birkaç biz bizim bu
            buna bunda bundan bunu bunun burada çok çünkü da daha de değil diye en gibi hangi hatta
            hem hep hepsi her hiç için ile ise kadar ki kim kimse mı mi mu mü nasıl ne neden nerede
            nereye niçin niye o olan olarak oldu olduğu ona onlar onu onun sen senin seni sana siz
            sizin şey şu tüm var ve veya ya yani yok
        """,
        "indonesian": """
            ada adalah akan aku anda apa apakah atau bagaimana bagi bahwa banyak beberapa belum bisa
            bukan dalam dan dapat dari di dia ini itu jika juga kami kamu kapan karena kata ke
            kepada kita lagi lebih maka mana masih mengapa mereka namun oleh pada saat saja sangat
            saya sebagai sebuah sedang seperti siapa sudah telah tentang tetapi tidak untuk yang
        """,
        "polish": """
            a aby ale bardzo bez bo był była było były być chce ci ciebie co czy dla do dlaczego
            gdy gdzie go i ich ile im ja jak jaka jaki jakie je jego jej jest jestem jeszcze już ją
            kiedy kto która które który ma mam mi mną mnie moje mój może mu my na nad nam nas nasz
            nic nie niego niej nim nich o od on ona one oni ono oraz po pod przed przez przy się są
            ta tak także tam te tego tej ten teraz to tobie tu twoja twój ty tylko tym u w wam was
            we wy z za ze że
        """,
        "russian": """
            а без более бы был была были было быть в вам вас ваш весь во вот все всё всего всех вы
            где да даже для до его ее её ей ему если есть еще ещё же за здесь и из или им их к как
            какая какой какие когда кто ли либо мне может мой моя мои мы на над надо наш не него нее
            ней нет ни них но ну о об однако он она они оно от очень по под при с свой себя со так
            также там тебе тебя тем то того тоже только том тот ту твой ты у уже чем что чтобы эта
            эти это этого этой этот я
        """,
    }.items()
}
"""A language of the Snowball stemmers -> its words of grammar, in lower case."""
