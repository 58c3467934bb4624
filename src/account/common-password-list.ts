/**
 * Words that the most common passwords are made of, in lower case and without the digits and signs that people put
 * around them. Compiled for this project from what published rankings of leaked passwords have in common.
 */
export const commonWords = `
  password passwort passwd passw pass passe passwords mypassword thepassword yourpassword newpassword oldpassword
  passphrase passcode motdepasse contrasena contraseña senha parola haslo hasło wachtwoord salasana kennwort geheim
  secret secreto topsecret changeme changethis changeit letmein letmeinnow letmesee opensesame sesame login logon
  signin welcome welcomeback bienvenue willkommen bonjour hello hellohello helloworld hola hallo hithere goodbye
  admin administrator administrador root toor rootroot superuser supervisor sysadmin system manager master guest user
  username default public private test tester testing testtest temp temporary demo example sample access server
  database oracle mysql postgres cisco router network internet computer laptop windows linux ubuntu microsoft google
  facebook instagram twitter myspace linkedin youtube yahoo gmail hotmail amazon apple iphone ipad samsung nokia
  android motorola discord telegram whatsapp skype netflix spotify paypal playstation xbox nintendo pokemon pikachu
  minecraft roblox fortnite warcraft starcraft diablo counterstrike zelda mario sonic tetris gamer games gaming
  qwerty qwertz azerty qwert asdf asdfg asdfgh asdfghjkl zxcv zxcvb zxcvbn zxcvbnm qwer qwe asd zxc qaz wsx qazwsx
  abc abcd abcde abcdef abcdefg abcdefgh aaa xxx monkey dragon tiger lion eagle falcon hawk panther cougar jaguar
  leopard cheetah wolf wolves bear bears shark dolphin dolphins whale turtle snake python cobra viper spider scorpion
  bull bulldog bulldogs bullshit horse horses pony chicken turkey penguin panda koala kangaroo kitty kitten kittens
  cat cats dog dogs doggy puppy puppies bunny rabbit mouse mickey mickeymouse donald minnie goofy snoopy garfield
  scooby scoobydoo tigger winnie pooh bambi nemo simba butterfly ladybug firefly phoenix unicorn griffin sunshine
  sunflower sunset sunrise moonlight starlight rainbow summer winter spring autumn fall january february march april
  may june july august september october november december monday tuesday wednesday thursday friday saturday sunday
  christmas halloween easter birthday holiday weekend vacation flower flowers rose roses lily daisy jasmine violet
  orchid cherry apples banana bananas orange oranges lemon peach strawberry blueberry raspberry coconut pineapple
  mango melon pumpkin chocolate cookie cookies cupcake candy sugar honey pepper ginger cinnamon vanilla butter cheese
  pizza burger bacon coffee whiskey vodka beer guinness heineken budweiser tequila cocacola pepsi love lover lovers
  loveme loveyou lovely iloveyou iloveu ilovehim iloveher iloveme ilovegod ilovejesus ilovemyself iloveyouforever
  iloveyoubaby teamo tequiero teamomucho jetaime tiamo loveyoubaby lovelove truelove mylove babe baby babyboy
  babygirl babydoll angel angels angelito angelbaby princess princesa queen king prince sweetheart sweetie sweety
  honeybun darling beautiful pretty cutie cutiepie sexy sexybitch sexyboy sexygirl sexylady hottie handsome bonita
  hermosa preciosa corazon amor amore amour liebe schatz schatzi mahal kocham kochanie lyubov forever always together
  friends friend bestfriend bestfriends friendship family mother father mommy daddy mama papa sister brother grandma
  grandpa jesus jesuschrist christ christian god godisgood godislove blessed faith heaven hope grace trinity bible
  angelus allah muhammad mohammed buddha krishna ganesha shalom football soccer futbol fussball baseball basketball
  softball volleyball hockey tennis golf golfer cricket rugby swimming running wrestling boxing skateboard surfing
  fishing hunting hunter racing nascar ferrari porsche mercedes bmw audi toyota honda nissan suzuki yamaha kawasaki
  harley davidson harleydavidson ducati mustang camaro corvette chevy chevrolet chevelle dodge ford volkswagen subaru
  mitsubishi lamborghini jeep yankees redsox dodgers giants cubs cowboys packers steelers raiders eagles patriots
  broncos lakers celtics bulls rangers flyers redwings penguins blackhawks arsenal chelsea chelseafc liverpool
  liverpoolfc manchester manutd manchesterunited everton tottenham celtic barcelona realmadrid juventus milan acmilan
  inter benfica porto sporting corinthians flamengo palmeiras santos bayern bayernmunchen dortmund schalke werder
  ajax feyenoord galatasaray fenerbahce besiktas jordan michael michaeljordan jackson michaeljackson kobe lebron
  ronaldo cristiano ronaldinho messi beckham zidane superman batman spiderman ironman captain wolverine hulk joker
  catwoman robin starwars startrek skywalker lukeskywalker darthvader chewbacca yoda jedi matrix neo morpheus gandalf
  frodo legolas aragorn hobbit harrypotter hogwarts hermione dumbledore voldemort naruto sasuke sakura itachi hinata
  goku vegeta dragonball dragonballz onepiece pirate pirates ninja samurai shadow shadows ghost killer killers
  assassin sniper ranger soldier warrior warriors knight wizard magic magician merlin mystic maverick rebel rebels
  outlaw gangster gangsta thunder lightning storm tornado hurricane blizzard avalanche volcano fire firebird fireball
  ice iceman rock rocky rockstar rocknroll metal metallica slipknot nirvana megadeth ironmaiden acdc kissme
  linkinpark greenday blink eminem tupac biggie snoopdogg fiftycent beatles rollingstones pinkfloyd ledzeppelin
  madonna britney shakira beyonce rihanna bieber justinbieber onedirection hannahmontana jonasbrothers music musica
  guitar drummer drums piano bass singer dancer dancing michelle jessica jennifer ashley amanda nicole daniel daniela
  daniele andrew andrea andreea joshua matthew anthony robert thomas charlie charles george william richard joseph
  david james john johnny jason justin brandon brian bryan kevin steven stephen stephanie nathan nicholas nicolas
  christopher christina christine cristina patrick patricia peter philip alexander alexandra alexandru alexis alex
  samantha samuel sam sarah sandra susan sophie sophia hannah heather heidi helen isabella jacob jasmin jeremy
  jonathan joanna julia julian karen katherine kathleen katie kelly kimberly lauren laura linda lisa louise lucas
  maria marie mariana marina mark martin martina mary melissa miguel monica monika natalia natalie natasha oliver
  olivia pamela paul pauline rachel rebecca roberto ronald rosemary russell sabrina scott sebastian sergio sharon
  shannon sierra simon stanley taylor teresa theresa tiffany timothy tyler valentina valeria vanessa veronica victor
  victoria vincent virginia walter wilson yvonne zachary alejandro alejandra alberto antonio carlos diego eduardo
  enrique estrella fernando fernanda francisco gabriel gabriela gustavo javier jose juan leonardo lorena luis manuel
  marcela mauricio pablo paola rafael ricardo rodrigo santiago francesco francesca giovanni giuseppe alessandro
  alessia lorenzo stefano federica mohamed ahmed fatima hassan ibrahim mustafa mehmet yusuf dmitry sergey vladimir
  natalya tatiana svetlana aleksandr ekaterina anastasia marcin mateusz agnieszka katarzyna monique camille nathalie
  sylvie isabelle chantal dominique america american usa england london britain ireland scotland germany deutschland
  berlin hamburg munich france paris marseille spain espana madrid italy italia rome roma milano napoli portugal
  lisboa brasil brazil mexico argentina chile colombia peru venezuela canada toronto montreal australia sydney
  melbourne india mumbai delhi pakistan china beijing shanghai hongkong japan tokyo korea seoul thailand bangkok
  vietnam philippines indonesia jakarta malaysia singapore russia moscow moskva ukraine poland polska istanbul greece
  athens egypt cairo israel africa california florida texas newyork boston chicago dallas detroit houston lasvegas
  losangeles miami oakland philadelphia pittsburgh seattle washington hawaii alaska arizona colorado dakota montana
  georgia savannah carolina money dollar dollars cash rich richie millionaire million lucky luckyme winner winners
  champion champions victory success power powerful strong legend hero heroes genius einstein smart awesome amazing
  fantastic wonderful perfect great good best better number one numberone whatever nothing something anything
  everything nobody somebody anybody happy happiness happyday smile smiley laugh peace peaceful freedom liberty
  justice truth dream dreams dreamer believe destiny fortune karma life lifeisgood live living dead death deadman
  evil devil satan demon hell lucifer vampire zombie monster dracula werewolf blue red green yellow purple pink black
  white silver gold golden diamond diamonds crystal ruby emerald sapphire pearl bluesky blueblue redred greengreen
  blackcat blackjack whitecat fuck fucker fuckyou fuckoff fuckme motherfucker asshole bastard bitch bitches shit dick
  cock cocks pussy boobs boobies tits titties penis vagina sex porn pornstar playboy playgirl hooters lesbian nipple
  nipples horny orgasm hardcore naughty student students teacher school college university science physics chemistry
  biology history english spanish french doctor nurse lawyer police policeman fireman firefighter army marine marines
  navy airforce military pilot sailor driver trucker engineer developer programmer hacker hackers house home homehome
  garden kitchen window door garage office business company work working job star stars stargate starfish galaxy
  universe planet earth moon mars jupiter saturn venus mercury neptune pluto apollo athena zeus hercules achilles
  titan titanic odyssey olympus alpha beta gamma delta omega sigma zero two three four five six seven eight nine ten
  eleven twelve thirteen trustno trustnoone nopassword iforgot forget forgot forgotten remember remembered dontforget
  ncc cowboy cowgirl country farmer tractor johndeere trains train airplane helicopter rocket bond jamesbond scarface
  godfather soprano terminator predator alien aliens gladiator spartan spartans trojan trojans viking vikings buster
  bubbles bubba buddy bandit bailey barney benji brandy brutus buffy casper chester cooper coco cuddles dexter duke
  dusty fluffy gizmo gracie jake jasper junior lady lassie lucy maggie max maxwell midnight misty molly muffin murphy
  oreo oscar patches peanut pebbles precious rascal rex rusty sadie sammy sasha scooter sheba shelby smokey snickers
  snowball snowflake sparky spike spot taz teddy teddybear thumper tinkerbell toby tootsie tweety tyson whiskers
  winston yogi ziggy zorro
`
  .trim()
  .split(/\s+/);

/** Common passwords of eight characters and more that the rules in `common-password.ts` don't reach. */
export const commonPasswords = `
  abcd1234 abc12345 a1b2c3d4 a1b2c3d4e5 a12345678 a123456789 aa123456 aa12345678 ab123456 abc123456 abc123abc
  abc123def qwerty12345678 1234qwer 12345qwert 123456qwerty 123qwe123 123qweasd 12qwaszx qwe123qwe asd123asd
  qweqweqwe zaq12wsx zaq1zaq1 1qaz1qaz 1qazxsw2 1qaz@wsx !qaz2wsx !qaz@wsx 1q2w3e4r 1q2w3e4r5t q1w2e3r4 qwer1234
  qwerasdf asdf1234 asdfasdf asdfqwer zxcvasdf zxcv1234 asdfjkl; asdfghjk qwaszx12 pa55word pa55w0rd passw0rd
  p4ssw0rd passwordpassword password1password adminadmin admin123admin adminpassword rootpassword userpassword
  guestguest testpass1 test1234test letmein123456 trustno1 ncc1701d ncc1701e thx1138a 1a2b3c4d 1a2s3d4f 1z2x3c4v
  q2w3e4r5 w2e3r4t5 123abc123 123abc456 1234abcd 12345abc 123456ab 123456abc 123456aa 123456789a 123456789q 12345678a
  1234567a a1234567 q1234567 q12345678 q123456789 z1234567 x1234567 w1234567 s1234567 m1234567 k1234567 j1234567
  d1234567 1234567q 12345678q 0123456789a 1111aaaa aaaa1111 111222333 112233445566 11223344 1122334455 11112222
  12341234 12344321 123454321 1234554321 123321123 123123123 123412345 1234512345 123456123 123456123456 1234567891
  12345678910 123456789123 1234567890123 12345678900 123456789012 1234567899 123456788 123456780 123456987 12345687
  12345679 87651234 98765432a 987654321a 789456123 456789123 147852369 159753456 159357456 951753852 963852741
  852456963 741258963 369258147 258456258 321654987 123654789 147896325 159263487 31415926 314159265 3141592654
  271828182 10203040 102030405 1020304050 13579246 135792468 1357924680 24681357 246813579 2468101214 19841984
  20002000 20012001 20102010 20112011 20122012 20202020 20212021 20222022 20232023 20242024 20252025 20262026
  19691969 19701970 19711971 19721972 19731973 19741974 19751975 19761976 19771977 19781978 19791979 19801980
  19811981 19821982 19831983 19851985 19861986 19871987 19881988 19891989 19901990 19911991 19921992 19931993
  19941994 19951995 19961996 19971997 19981998 19991999 01012000 01011970 01011980 01011990 11111980 12121212
  12312312 69696969 420420420 42042069 007007007 987456321 741852741 00000001 00001111 11110000 55556666 66668888
  88889999 99998888 5201314520 1314520520 woaini1314 woaini520 woaini123 woainima iloveyou1314 5201314a a5201314
  zxc123456 asd123456 qwe123456 qaz123456 wang1234 zhang123 li123456 wangyang xiaoming dearbook aini1314 caonima123
  nihao123 nihaoma1 ohmygod1 omgomgomg lollol123 lolololol whatever1 whatthehell whatthefuck whoareyou howareyou
  imissyou ihateyou idontknow idontcare iamthebest iamsocool iamtheone killyou1 kissmyass suckmydick bigdaddy
  bigboobs bigblack blowjob1 fuckface fuckthis fuckyou2 eatmenow eatshit1 dumbass1 dickhead dipshit1 jackass1
  badboy12 badgirl1 goodboy1 goodgirl lovebird lovers12 loverboy lovergirl mylife12 myspace1 mybabygirl myangel1
  mysecret myself12 mynameis nintendo64 playstation2 playstation3 playstation4 xbox360a windows7 windows10 windowsxp
  windows98 pentium4 internet1 compaq12 gateway1 dell1234 asus1234 lenovo12 hewlett1 packard1 hpinvent broadband
  wireless1 wifi1234 linksys1 netgear1 motdepasse1 azertyuiop azerty123 soleil123 doudou12 chouchou loulou12 nounours
  marseille13 passwort1 hallo1234 schalke04 fcbayern dortmund09 sonnenschein schmetterling sommer2020 arschloch
  ficken12 hallohallo contraseña1 tequiero1 mariposa hermanos futbol10 alianza1 boricua1 chocolat chocolate1
  estrellita realmadrid1 barcelona10 sporting1 benfica1 minhasenha senha123 brasil10 flamengo1 corinthians1
  palmeiras1 gremio12 saopaulo internacional polska12 kocham123 kochanie1 dupa1234 misiek12 zaq12wsxcde3 bartek12
  lokomotiv spartak1 zenit123 privet12 parol123 qwerty777 natasha1 marina12 samsung1 nokia6300 nokia123 nokia5800
  iphone123 android1 pokemon1 pikachu1 digimon1 yugioh12 naruto123 sasuke12 inuyasha bleach12 onepiece1 gundam00
  evangelion dragonfly dragoon1 dungeons dungeon1 baldurs1 runescape runescape1 warcraft3 starcraft2 halflife
  halflife2 counter1 deathnote metallica1 slipknot1 slipknot666 666666666 liverpool1 arsenal1 chelsea1 rangers1
  celtic1888 manutd99 ronaldo7 ronaldo9 beckham7 beckham23 jordan23 michael23 kobe2424 lebron23 yankees1 redsox04
  steelers1 cowboys1 raiders1 patriots12 packers1 eagles12 lakers24 bulls123 corvette1 mustang1 mustang69 camaro69
  chevy123 ferrari1 porsche911 porsche1 mercedes1 bmw12345 honda123 yamahar1 suzuki12 kawasaki1 thunderbird firebird1
  trailblazer silverado mountain mountains rainbow1 sunshine1 butterfly1 midnight1 moonbeam starbuck starbucks
  starburst stardust stargazer skyline1 skywalker1 stormtrooper blueeyes browneyes bluebird blackbird blackberry
  blackdog blackhawk blacksabbath bluemoon blueberry1 redhead1 redneck1 greenday1 yellowstone goldfish goldstar
  silver12 diamond1 rockandroll rockstar1 superstar superstar1 superman1 batman12 spiderman1 wolverine1 ironman1
  captain1 blizzard1 avatar12 avengers marvel12 hulkhogan undertaker johncena wrestlemania stonecold reymysterio
  jeffhardy tripleh1 drowssap nimda123 computer1 computers keyboard monitor1 printer1 security security1 firewall
  antivirus softball1 baseball1 football1 basketball1 volleyball1 cheerleader lacrosse snowboard skateboarding
  motocross supercross gymnastics ballerina homework homerun1 newlife1 newyork1 california1 maryjane marijuana
  cannabis cocaine1 legalize smokeweed weed4200 420smoke stoner12 buddy123 charlie1 jessica1 jennifer1 michelle1
  michael1 ashley12 nicole12 daniel12 anthony1 matthew1 william1 thomas12 victoria1 elizabeth elizabeth1 alexander1
  christian1 christopher1 stephanie1 samantha1 jonathan1 sebastian1 valentina1 alejandro1 alejandra1 fernando1
  gabriel1 estrella1 cristina1 veronica1 margarita esperanza catalina carolina1 angelica angelina evangeline
  josephine gabrielle madeline madison1 mackenzie savannah1 brooklyn brittany brittany1 courtney danielle dominic1
  cameron1 bradley1 benjamin benjamin1 franklin lawrence leonard1 marshall mitchell montgomery nicholas1 raymond1
  reginald roderick theodore valentine westside eastside southside northside thuglife hiphop12 gangsta1 westcoast
  eastcoast lilwayne lilwayne1 babygurl babygurl1 babyblue babycakes babyface babyphat sexymama sexymama1 sexyback
  hotstuff hotmama1 hotgirl1 hotboy12 prettygirl prettyboy cutegirl smartass candygirl sugarplum tinkerbelle
  jellybean jellybeans marshmallow popcorn1 peanutbutter strawberry1 spaghetti macaroni hamburger cheesecake
  gingerbread pumpkin1 watermelon grapefruit applepie applesauce bubblegum lollipop skittles snickers1 cookie12
  cookies1 oatmeal1 whatsup1 wassup12 yomama12 yourmom1 yourmama hahahaha heyhey12 hellokitty hellokitty1 helloyou
  hi123456 happyfeet happy123 happyday1 smiley12 smile123 lovely12 peaceout peace123 godbless godbless1 jesus123
  jesusislord jesussaves jesus777 iloveu12 iloveyou12 iloveyou123 ilovemom ilovemymom ilovedad ilovecats ilovedogs
  ilovemusic ilovesex ilovepizza ilovepussy football12 money123 moneyman cashmoney getmoney makemoney richman1
  gateway2000 gandalf1 rosebud1 gunner12 guinness1 gunsnroses hendrix1 hotrod12 access14 access123 matrix12 mercury1
  phantom1 phantom12 phoenix1 redskins redskins1 rainbow6 scorpion1 sentinel showtime sherlock shotgun1 slapshot
  snapper1 spitfire squirrel sterling stinger1 stealth1 swordfish tomcat12 topgun12 trouble1 tuesday1 undertow
  vacation1 valhalla voyager1 warhammer webmaster wildcats wildcat1 williams wingzero woodland wrangler xfiles12
  zeppelin zxcvbnm1
`
  .trim()
  .split(/\s+/);
